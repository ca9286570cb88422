"""What a run over a dataset and an analysis leave on the disk: the format, and how it is written and read."""
