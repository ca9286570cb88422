"""What an analysis will take, before it runs."""
