"""What the library takes and gets, beside other packages and the truth; `results` keeps the figures."""
