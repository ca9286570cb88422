"""
Vacancies in a scanning tunnelling image
========================================

Nothing in the method is about electrons: any image of a lattice will do whose sites are bright bumps. In the
paper's Fig. S28 it is the surface of PtTe\\ :sub:`2` under a tunnelling microscope, with vacancies that are
alone, in compact clusters and in chains. This example finds the empty sites and lets the hierarchy of
motif-cells sort them by shape.
"""

import matplotlib.pyplot as plt
import numpy as np

import motifgpu
from motifgpu import simulate
from motifgpu.figures.hierarchy import plot_hierarchy

# %%
# A triangular lattice with missing atoms
# ---------------------------------------

truth = simulate.stm_lattice((512, 512), isolated=18, clusters=8, chains=9, gaussian=0.15, angle=8, seed=3)
columns = motifgpu.find_columns(truth.image)
lattice = motifgpu.fit_lattice(columns.points)
print(f"{lattice.kind} lattice, {columns.occupied.sum()} atoms")

# %%
# A missing atom has no maximum, so no peak search finds a vacancy. ``find_columns`` lists the sites that its
# lattice predicts and on which it sees nothing; the lattice fitted to all these points adds the sites in view
# on which no point is at all, should there be any.

empty = np.concatenate([columns.points[~columns.occupied], lattice.empty_points])
print(
    f"{(~columns.occupied).sum()} sites are seen to be empty, {len(lattice.empty_points)} more have no point"
)
print(f"together {len(empty)}; truly vacant are {(truth.labels > 0).sum()}")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.8), layout="constrained")
axes[0].imshow(truth.image, cmap="gray")
axes[0].set(title="simulated tunnelling image", xticks=[], yticks=[])
axes[1].imshow(motifgpu.smooth(truth.image), cmap="gray")
axes[1].scatter(
    *empty.T[::-1],
    s=70,
    marker="s",
    facecolors="none",
    edgecolors="#F0A000",
    linewidths=1.5,
    label="found empty",
)
for number, (marker, color) in enumerate((("o", "#0072B2"), ("^", "#D55E00"), ("D", "#009E73")), 1):
    at = truth.points[truth.labels == number]
    axes[1].scatter(
        at[:, 1], at[:, 0], s=14, marker=marker, color=color, label=f"truly {truth.names[number]}"
    )
axes[1].set(title="smoothed, with empty sites", xticks=[], yticks=[])
axes[1].legend(loc="upper right", fontsize=8, ncols=2)
plt.show()

# %%
# From sites to shapes
# --------------------
# A patch around a site sees its nearest neighbours, so motifs alone distinguish an isolated vacancy from one
# beside others, but not a cluster from a chain. Motif-cells do: cells that are not the crystal's and touch
# each other are joined, and equal shapes are counted, turned ones too. Label the sites 0 (atom) and 1 (empty)
# and compose:

points = np.concatenate([columns.points[columns.occupied], empty])
labels = np.repeat([0, 1], [columns.occupied.sum(), len(empty)])
cells = motifgpu.motif_cells(motifgpu.fit_lattice(points), labels)
hierarchy = motifgpu.build_hierarchy(cells)
print(f"{len(hierarchy.nodes)} shapes; {hierarchy.truncated} defects are cut by the border")

figure, ax = plt.subplots(figsize=(5, 6.5), layout="constrained")
plot_hierarchy(hierarchy, cells, names=("atom", "vacancy"), ax=ax)
plt.show()

# %%
# Against the truth
# -----------------
# Each defect of the simulation is one connected shape, so shapes can be counted by their number of vacancies.
# A defect at the border is truncated and is no shape: what continues outside is not known.

found = {}
for node in hierarchy.nodes:
    found[node.level] = found.get(node.level, 0) + node.count
sizes = np.bincount(truth.defect[truth.defect >= 0])
print("vacancies   shapes found   true defects")
for size in range(1, max(sizes.max(), max(found)) + 1):
    print(f"{size:9} {found.get(size, 0):14} {(sizes == size).sum():14}")
