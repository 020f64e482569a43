"""Drawings of results that are already computed: nothing here trains, and every figure takes datasets."""
