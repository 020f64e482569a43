"""The engines: ways to train the same model, behind one interface.

`simulate.engines.engine.Engine` says what an engine does, `simulate.engines.registry` knows them by name, and
`simulate.engines.choice` finds the cheapest that can run an experiment. These modules and the engines' own
(`coefficient`, `prompt`, `gram.engine`) load no JAX; what they compile stands in `rows` and `gram`.
"""
