"""What a run reports: measuring, labelling, files, provenance."""
