"""Lattice, motif-cells and their hierarchy."""
