# ruff: noqa: B018
"""
Your own file, from beginning to end
====================================

A micrograph is read from a file, analysed in one call, and the results are drawn and saved. Replace
the file by your own: dm3, dm4, EMD, SER, MRC, HSPY, NeXus, TIFF, PNG, JPEG, npy and npz are read alike.
"""

import csv
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import tifffile

import motifgpu
from motifgpu import simulate

# %%
# A file to work on
# -----------------
# Here the file is a simulated MoSe\ :sub:`2` monolayer with Se vacancies, Se double vacancies and W on Mo
# sites, written as a TIFF that states its pixel size. Skip this step when you have a file.

folder = Path(tempfile.mkdtemp())
truth = simulate.monolayer(
    "MoSe2", (360, 360), counts=20, angle=8, vacancies=0.05, divacancies=0.01, dopants={"W": 0.03}, seed=1
)
tifffile.imwrite(
    folder / "scan.tif",
    truth.image,
    imagej=True,
    resolution=(1 / truth.pixel_size_nm, 1 / truth.pixel_size_nm),
    metadata={"unit": "nm"},
)

# %%
# Read it
# -------
# Check the pixel size first. It is ``None`` where the file states none that can be trusted (dots per inch
# are not a pixel size); then give it to ``analyze`` as ``pixel_size_nm``. Lengths are in pixels otherwise.

micrograph = motifgpu.read(folder / "scan.tif")
print(f"{micrograph.shape} px of {micrograph.pixel_size_nm:.4f} nm, counts 0 to {micrograph.image.max():.0f}")

# %%
# Analyse it
# ----------
# Give the raw image. Smoothing, cropping of the grey range or a background filter beforehand remove
# differences between columns. Nothing else has to be given: not the lattice constant, not the number of
# motifs.

analysis = motifgpu.analyze(micrograph)
analysis

# %%
# Read the warnings before the results. An empty list means that no check of the program failed; it
# does not mean that the image shows what you expect.

print(analysis.warnings)

# %%
# Which columns are what
# ----------------------
# Motif 0 is always the most frequent, so the numbers are no names. What a motif *is* can be read from its
# place on the lattice, from its mean patch, and from its neighbours: here 0 and 1 are the Mo columns and the
# complete Se\ :sub:`2` columns, and the rare ones are in their places. A square is a site where
# no atom is seen.

figure, ax = plt.subplots(figsize=(7, 7), layout="constrained")
analysis.plot.micrograph(ax)
plt.show()

# %%
# The layout puts columns in similar environments side by side. It is for inspection: draw it beside the
# micrograph and see for every clump where its columns are. Distances between far clumps mean nothing.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
analysis.plot.layout(axes[0])
analysis.plot.shells(axes[1])
plt.show()

# %% The second panel counts the nearest neighbours, one row per motif. Motifs 1, 2 and 4 have three
# neighbours of motif 0, so they stand on one sublattice: 2 and 4 are columns of motif 1 that lost atoms.
# Motif 3 has the neighbours that motif 0 has: it is what replaced one of those.
#
# Mean patches
# ------------
# The mean patch of a motif has far less noise than any of its members. A motif whose mean looks like that of
# another one is a reason for doubt. ``analysis.plot.class_averages()`` draws more of them, with counts and
# confidence.

averages = analysis.averages
figure, axes = plt.subplots(
    1, len(averages.counts), figsize=(2 * len(averages.counts), 2.6), layout="constrained"
)
for motif, ax in enumerate(axes):
    shown = ax.imshow(averages.patches[motif], cmap="inferno", vmin=0, vmax=averages.patches.max())
    ax.set(title=f"motif {motif}\n{averages.counts[motif]} columns", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="counts per pixel")
plt.show()

# %%
# Save the results
# ----------------
# ``report`` writes one HTML page that needs no network, the figures, and ``columns.csv`` with one row per
# column; ``save`` writes everything into one file that ``Analysis.load`` reads back to the bit.

analysis.report(folder / "results", reconstruction=False)
analysis.save(folder / "scan.zip")
with open(folder / "results" / "columns.csv", newline="") as file:
    rows = list(csv.DictReader(file))
print(len(rows), "columns; the first one with a motif:")
print(next(row for row in rows if row["motif"]))

# %%
# Against the truth
# -----------------
# A simulation knows what every site is. Each found column takes the name of the site that it lies on; a row
# of the table is a true kind, a column of it a motif. Columns at the border have no whole patch and no motif.

distance = np.hypot(*(analysis.points[:, None] - truth.points).transpose(2, 0, 1))
nearest = distance.argmin(axis=1)
kind = truth.labels[nearest]
motifs = analysis.motifs.labels
print("true kind " + "".join(f"{f'motif {m}':>9}" for m in range(motifs.max() + 1)))
for number, name in enumerate(truth.names):
    print(
        f"{name:9} "
        + "".join(f"{((kind == number) & (motifs == m)).sum():9}" for m in range(motifs.max() + 1))
    )
