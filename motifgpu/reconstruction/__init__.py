"""Micrographs rebuilt from their motifs."""
