"""Motifs: what column each one is, in what environment, and what each motif looks like."""
