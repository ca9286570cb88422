"""Micrographs and how they are read from files."""
