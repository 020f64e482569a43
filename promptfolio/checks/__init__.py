"""Where theory and simulation meet: one file per claim, each measuring what the theory predicts.

Every claim's module has `CLAIM` (what is claimed), `collect(scale)` (simulate, and put the prediction beside the
measurement, as a labelled dataset) and `judge(dataset)` (compare, and give a verdict).
"""
