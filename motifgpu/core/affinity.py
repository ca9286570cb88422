"""How CPU and GPU search sigma of the affinity graph: by Newton's method, from 1/sigma = 0."""

LEAST_SIGMA = 1e-3  # of a row's mean distance
TOLERANCE = 1e-5  # on the sum of a row's weights
STEPS = 64  # at most; a dozen is usual
