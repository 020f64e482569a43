"""The figures of the synthetic study: one file each, discovered by `figures.registry`."""
