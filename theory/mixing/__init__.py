"""The portfolio: which mixture of prompts is best, and by how much (T15 to T24)."""
