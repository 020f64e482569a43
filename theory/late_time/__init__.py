"""Training when samples are not few against noise coordinates (T29)."""
