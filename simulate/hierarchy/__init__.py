"""Portfolios of prompts on several levels: global, cluster by cluster, local (T23)."""
