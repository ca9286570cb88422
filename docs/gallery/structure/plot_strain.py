"""
Strain and drift from the lattice
=================================

Every column has a place on the lattice, so its displacement from there is known. A slow change of it over the
image is drift of the specimen or distortion of the scan; a local one is strain. No single image can tell the
two apart without an assumption, and this example says which one is made.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import motifgpu
from motifgpu import simulate

# %%
# Drift
# -----
# The specimen moves while the image is scanned, here faster and faster, by 6 px to the right and 3 px down in
# all. The map from lattice to pixels is a polynomial whose degree the data choose; its straight part counts
# as lattice, the rest as drift. Arrows show it.

truth = simulate.monolayer("MoSe2", (512, 512), counts=30, angle=10, drift=(3, 6), seed=1)
drifted = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
lattice = drifted.cells.lattice
left = np.sqrt(np.nanmean(lattice.residual**2))
print(f"degree {lattice.drift.degree}; residual {left:.2f} px RMS a coordinate")
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
drifted.plot.strain(axes[0], "dilatation")
drifted.plot.strain(axes[1], "rotation")
plt.show()

# %%
# Drift looks like strain that is the same along each scan line. The truth here is that the crystal has none.
# What can be said against the truth is the curved part, since no image tells its straight part from a
# stretched lattice:

rows = np.linspace(40, 470, 20)
q = lattice.drift.inverse(np.stack([rows, np.full(20, 256.0)], axis=1))
curve = lattice.drift.departure(q)
t = rows / 511
true = np.outer(t**2, (3, 6))
for axis, name in enumerate(("rows", "columns")):
    line = np.polynomial.Polynomial.fit(rows, true[:, axis] - curve[:, axis], 1)
    left = true[:, axis] - curve[:, axis] - line(rows)
    print(f"{name}: {np.ptp(true[:, axis]):.1f} px in all, curved part right to {np.abs(left).max():.2f} px")

# %%
# Strain
# ------
# Now a crystal whose right half is stretched by 2 % along the rows of the image, which the simulator does not
# make by itself: columns are drawn where a user's own displacement field puts them.

shape = (512, 512)
flat = simulate.monolayer("MoSe2", shape, counts=None, angle=10, seed=2)
col = flat.points[:, 1]
width, strain = 40.0, 0.02
# Displacement whose derivative along the columns rises from 0 to 2 % about the middle of the image.
shift = strain * width * np.logaddexp(0, (col - 256) / width)
points = flat.points + np.stack([np.zeros_like(shift), shift], axis=1)
height = np.where(flat.labels == 0, 0.73, 1.0)
y, x = np.mgrid[: shape[0], : shape[1]]
clean = np.zeros(shape)
for (row, column), value in zip(points, height, strict=True):
    r, c = slice(max(int(row) - 12, 0), int(row) + 13), slice(max(int(column) - 12, 0), int(column) + 13)
    clean[r, c] += value * np.exp(-((y[r, c] - row) ** 2 + (x[r, c] - column) ** 2) / (2 * 3.0**2))
image = simulate.poisson_noise(30 * clean, seed=3)

strained = motifgpu.analyze(image, pixel_size_nm=flat.pixel_size_nm)
lattice = strained.cells.lattice
gradient = lattice.strain.gradient
middle = lattice.polygons(lattice.cells).mean(axis=1)
true = strain / (1 + np.exp(-(middle[:, 1] - 256) / width))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
strained.plot.strain(axes[0], "dilatation")
order = np.argsort(middle[:, 1])
axes[1].plot(middle[:, 1], 100 * gradient[:, 1, 1], ".", color="#56B4E9", markersize=4, label="cells")
axes[1].plot(
    middle[order, 1],
    100 * (true[order] - np.nanmean(true)),
    color="#D55E00",
    linewidth=2,
    label="truth, less its mean",
)
axes[1].axhline(0, color="0.7", linewidth=0.8)
axes[1].set(xlabel="column (px)", ylabel="strain along columns (%)")
axes[1].legend()
plt.show()

# %%
# Strain is counted from the mean lattice of the image, not from that of the unstrained crystal: the left half
# shows about -1 % and the right half +1 %. Use a piece of the image that is known to be relaxed as the
# reference, by taking its mean off. The scatter of the cells is the noise of positions at this dose; a strain
# map cannot show less.
#
# What may go wrong: the smoothing that serves low doses best (``smoothing="svd"``) draws equivalent columns
# alike, and at 1 count shows only three quarters of a lone column's displacement. Use ``smoothing="fft"``
# where displacements matter more than noise.
#
# A real micrograph
# -----------------
# DyScO\ :sub:`3`. Rows of cells that were scanned one after the other are stretched and turned alike, by far
# more than a crystal would bear, and change from row to row: this is the scan. A strain map of this image
# would have to be taken along the scan lines only.

path = Path(os.environ.get("MOTIFGPU_DATA", "../../../../../shared/data")) / "DyScO3" / "image.png"
if path.is_file():
    picture = motifgpu.read(path).image
    real = motifgpu.analyze(picture, pixel_size_nm=0.0078)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    real.plot.strain(axes[0], "dilatation")
    real.plot.strain(axes[1], "rotation")
    print(real.warnings)
else:
    print("The real micrograph is not here; it would show stripes of rotation along the scan lines.")

plt.show()
