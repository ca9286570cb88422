"""Other packages: how each is called, and stages measured beside them."""
