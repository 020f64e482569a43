"""Kinds of pictures of any run, sweep or comparison: one file each, discovered by `figures.pictures`."""
