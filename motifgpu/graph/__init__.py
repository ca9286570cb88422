"""The neighbour graph of the features and its layout."""
