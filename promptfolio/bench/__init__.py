"""How fast the toolkit is: beside plain training loops, beside the machine's own matrix products, and at scale.

Everything is measured in one run on one machine, in turns. Ratios travel between machines, seconds do not.
"""
