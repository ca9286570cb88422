"""What every room stands on: array namespace, checks, device, errors, files and what both twins share."""
