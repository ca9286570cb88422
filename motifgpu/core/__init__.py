"""What every room stands on: array namespace, checks, device, errors, files and what CPU and GPU share."""
