"""From snapshots to a labelled dataset, and to files: measuring, labelling, provenance, reading and writing."""
