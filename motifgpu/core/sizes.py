"""How large images and their pixels may be."""

LARGEST_SIDE = 2**14  # px of a square image; more is a damaged header
LARGEST_IMAGE = LARGEST_SIDE**2  # px
FINEST_PIXEL_NM, COARSEST_PIXEL_NM = 1e-4, 1e6  # no microscope has pixels below 0.1 pm or above 1 mm
