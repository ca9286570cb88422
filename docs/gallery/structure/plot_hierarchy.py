"""
Lattice, motif-cells and their hierarchy
========================================

A vacancy is a motif; a vacancy beside a dopant is a structure of motifs. The paper finds these without naming
them beforehand: the labelled columns are put on their lattice, cells are compared by what they hold, unusual
cells that touch grow into motif-cells, and motif-cells that lie in larger ones are linked (Fig. 2 and S15).
This example follows the steps.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree

import motifgpu
from motifgpu import simulate

# %%
# A monolayer with two kinds of defect
# ------------------------------------
# WS\ :sub:`2` with S vacancies and Fe on W sites.

truth = simulate.monolayer(
    "WS2", (600, 600), counts=30, angle=7, vacancies=0.06, dopants={"Fe": 0.06}, seed=8
)
analysis = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
height = analysis.columns.prominence[analysis.mask]
for motif, count in enumerate(analysis.motifs.counts):
    print(
        f"motif {motif}: {count} columns of height {np.median(height[analysis.motifs.labels == motif]):.1f}"
    )

# %%
# Name the motifs: two of them fill the lattice, S\ :sub:`2` being the fainter; half its height is one S atom;
# and a column brighter than S\ :sub:`2` and far fainter than W is Fe in the place of W. Against the truth:

names = ("W", "S2", "V_S", "Fe")
nearest = cKDTree(truth.points).query(analysis.points)[1]
right = np.array(truth.names)[truth.labels[nearest]] == np.array(names)[analysis.motifs.labels]
print(f"{100 * right.mean():.2f} % of the columns have the right name")

# %%
# The lattice
# -----------
# Lattice vectors are the shortest displacements that take most columns onto columns. Each column then has a
# cell (i, j) and a sublattice. A wrong lattice shows in ``warnings`` and in columns that are on no site.

lattice = analysis.cells.lattice
angle = np.degrees(np.arccos(lattice.u @ lattice.v / np.hypot(*lattice.u) / np.hypot(*lattice.v)))
off = (lattice.sublattice < 0).sum()
print(f"{lattice.kind}, {lattice.n_sublattices} sublattices, {off} columns on no site")
for name, vector, true in (("u", lattice.u, truth.u), ("v", lattice.v, truth.v)):
    print(f"|{name}| = {np.hypot(*vector):.3f} px, truly {np.hypot(*true):.3f} px")
print(f"angle {angle:.2f} degrees")

# %%
# Motif-cells
# -----------
# A cell is what its slots hold. The most frequent content is the crystal's; cells that hold anything else are
# coloured, outlined where they grew together, and pale where the border cuts them.

figure, ax = plt.subplots(figsize=(7.5, 7.8), layout="constrained")
analysis.plot.cells(ax, names=names)
print("content of the cell -> cells:")
for content, count in zip(analysis.cells.contents, analysis.cells.counts, strict=True):
    print(f"  {' + '.join(names[motif] if motif >= 0 else '?' for motif in content):12} {count}")

plt.show()

# %%
# The hierarchy
# -------------
# Level n holds the motif-cells of n cells, turned and mirrored ones counted together, with how often each
# occurs. A line joins a motif-cell to those that lie in it. Read it from below: single defects first, then
# pairs, and at the top what occurs once.

figure, ax = plt.subplots(figsize=(8, 7.5), layout="constrained")
analysis.plot.hierarchy(ax, names=names, limit=8, levels=5)
plt.show()

# %%
# Is this order or chance?
# ------------------------
# Defects that are placed at random also touch each other. So the number of pairs says nothing by itself;
# compare it with the same number of defects of each kind placed anew at random on the same sites. Shown is
# the number of motif-cells by level, found and for 100 random placements.


def by_level(cells):
    """Count the motif-cells of each level up to 6, the same shape each time it occurs."""
    levels = np.zeros(7, int)
    for node in motifgpu.build_hierarchy(cells).nodes:
        levels[min(node.level, 6)] += node.count
    return levels[1:]


found = by_level(analysis.cells)
rng = np.random.default_rng(0)
labels, of_column = analysis.motifs.labels[analysis.firm], lattice.sublattice
random = []
for _ in range(100):
    shuffled = labels.copy()
    for sublattice in range(lattice.n_sublattices):
        rows = np.flatnonzero(of_column == sublattice)
        shuffled[rows] = rng.permutation(labels[rows])
    random.append(by_level(motifgpu.motif_cells(lattice, shuffled)))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
levels = np.arange(1, 7)
low, middle, high = np.percentile(random, [2.5, 50, 97.5], axis=0)
axes[0].bar(levels, found, color="#0072B2", label="found")
axes[0].errorbar(
    levels, middle, (middle - low, high - middle), fmt="o", color="#D55E00", capsize=4, label="random, 95 %"
)
axes[0].set(xlabel="level (cells in the motif-cell)", ylabel="how many in view", xticks=levels)
axes[0].set_xticklabels([*map(str, levels[:-1]), "6+"])
axes[0].legend()
analysis.plot.growth(axes[1])
plt.show()

# %%
# This simulation did place its defects at random, and nothing lies outside the intervals: pairs and triples
# by themselves are no evidence of order. In an image in which defects attract each other, large motif-cells
# would be more, and single ones fewer, than the random placements have.
#
# What may go wrong: above some 30 % of unusual cells nearly everything touches, and the number of distinct
# shapes explodes. The hierarchy then says so in its warnings and leaves the largest out.
