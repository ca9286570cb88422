"""Atom columns: the image as it is seen, its columns, and the size of a patch."""
