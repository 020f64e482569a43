"""The claims: one file each, discovered by `promptfolio.checks.registry`."""
