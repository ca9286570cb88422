"""As if zarr were not installed."""

raise ModuleNotFoundError("No module named 'zarr'", name="zarr")
