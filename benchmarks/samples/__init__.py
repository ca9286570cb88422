"""Columns and labels on simulated samples of every kind, against the truth and beside others."""
