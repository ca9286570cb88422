"""Sites that are empty or filled, and the statistics of their order."""
