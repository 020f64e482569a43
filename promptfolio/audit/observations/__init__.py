"""The observations about the released code: one file each, discovered by `promptfolio.audit.registry`."""
