"""Benchmarks: the toolkit beside plain training loops and beside matrix products, and its time against size.

Everything is measured in one run on one machine, in turns. Ratios can be compared between machines, seconds cannot.
"""
