"""RESULTS.md, its plots and the README's table, written from the result files and conclusions.md."""
