"""The command line's commands: each parses into a dataclass, calls the library, saves and reports.

Modules here import the library inside their `execute` methods, so that help and bad arguments answer at once.
"""
