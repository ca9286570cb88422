"""Patches around columns and the numbers that describe them."""
