"""As if cucim were not installed."""

raise ModuleNotFoundError("No module named 'cucim'", name="cucim")
