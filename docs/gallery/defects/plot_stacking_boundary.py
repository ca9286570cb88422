"""
A boundary between 2H and 3R stacking
=====================================

In a bilayer the columns hold atoms of both layers. Where the second layer is shifted, other atoms come to
stand above each other, so the stacking is read from the columns' intensities and from the sites that are
filled (Fig. S25 of the paper). This example maps the stacking of a simulated bilayer, and of a real one where
it is there.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree

import motifgpu
from motifgpu import simulate

# %%
# 2H on one side, 3R on the other
# -------------------------------
# In 2H stacking a Mo column of one layer lies on Se\ :sub:`2` of the other, and the middle of the ring is
# hollow. In 3R one Mo and one Se\ :sub:`2` stand alone and the ring's middle is filled.

truth = simulate.stacking_boundary("MoSe2", (400, 400), counts=10, angle=10, seed=2)
analysis = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
distance, nearest = cKDTree(truth.points).query(analysis.points)
labels = analysis.motifs.labels
print("motif  columns   what truly stands there")
for motif in range(labels.max() + 1):
    held, counts = np.unique(truth.labels[nearest][labels == motif], return_counts=True)
    sides = np.unique(truth.grain[nearest][labels == motif])
    where = " and ".join({0: "2H", 1: "3R", 2: "shared row"}[s] for s in sides.tolist())
    print(f"{motif:5} {(labels == motif).sum():8}   {', '.join(truth.names[h] for h in held)} in {where}")

# %%
# The two stackings are two domains, so Mo+Se\ :sub:`2` of 2H is one motif and that of 3R another, though both
# have one identity, and the columns at the boundary are a motif of their own.

figure, axes = plt.subplots(2, 1, figsize=(7, 10.5), layout="constrained", height_ratios=(2, 1))
analysis.plot.micrograph(axes[0])
analysis.plot.shells(axes[1])
plt.show()

# %%
# A map of the stacking
# ---------------------
# Colour each column by its domain; those at the boundary, -1, are grey:

domains = analysis.motifs.domains
colors = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442")
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
for domain in range(-1, domains.max() + 1):
    rows = domains == domain
    color = colors[domain] if domain >= 0 else "#999999"
    name = f"{domain if domain >= 0 else 'boundary'} ({rows.sum()})"
    axes[0].scatter(*analysis.points[rows].T[::-1], s=22, color=color, label=name)
    axes[1].scatter(*analysis.layout[rows].T, s=12, color=color)
axes[0].set(aspect="equal", xlim=(0, 400), ylim=(400, 0), xticks=[], yticks=[], title="columns by domain")
axes[0].plot([20, 20 + 1 / truth.pixel_size_nm], [388, 388], color="black", linewidth=4)
axes[0].text(20, 380, "1 nm")
axes[0].legend(title="domain", loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.5)
axes[1].set(xticks=[], yticks=[], title="the same in the layout")

is_3r = truth.grain[nearest] == 1
inside = domains >= 0
share = [is_3r[domains == d].mean() for d in range(domains.max() + 1)]
right = np.mean(np.where(np.array(share)[domains[inside]] > 0.5, is_3r[inside], ~is_3r[inside]))
print(f"columns whose domain says rightly on which side they are: {100 * right:.1f} %")
plt.show()

# %% What may go wrong: at a tilt of some milliradians the two atoms of a column part in projection, and the
# image of 2H looks like 3R. Nothing in one image distinguishes the two, so compare with an area whose
# stacking is known.
#
# A real bilayer
# --------------
# MoSe\ :sub:`2` with a triangle of 3R-like stacking in the lower left. The file has no pixel size; it is
# given by hand, from the lattice constant.

path = (
    Path(os.environ.get("MOTIFGPU_DATA", "../../../../../shared/data")) / "MoSe2_bilayer_2H3R" / "image.tif"
)
if path.is_file():
    real = motifgpu.analyze(path, pixel_size_nm=0.0161)
    figure, axes = plt.subplots(2, 1, figsize=(7.5, 11), layout="constrained", height_ratios=(2, 1))
    real.plot.micrograph(axes[0])
    real.plot.layout(axes[1])
    for warning in real.warnings:
        print(warning)
else:
    print("The real micrograph is not here; it would show a triangle of 3R-like stacking within 2H.")

plt.show()
