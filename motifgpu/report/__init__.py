"""What is said of an analysis: its summary, its columns as CSV, and a one-file page with a linked view.

`page` has the page and its sections, `linked` the lasso, `folder` all files of a report together.
"""
