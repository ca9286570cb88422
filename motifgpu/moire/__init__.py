"""Twisted bilayers: twist angle, anchor motifs and domains."""
