"""Portfolios of more than two prompts: global, one per cluster of clients, local (T23).

`Hierarchy` describes a run, `run_hierarchy` performs it.
"""
