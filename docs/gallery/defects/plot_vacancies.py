"""
Vacancies and dopants: maps and densities
=========================================

Point defects are the few columns that are not like the others. This example labels the columns of a low-dose
image, maps the defects, gives their density with an honest interval, and does the same with a real micrograph
of MoSe\\ :sub:`2` under a 40 kV beam (the subject of Fig. S23 of the paper).
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import chi2

import motifgpu
from motifgpu import simulate
from motifgpu.figures.palette import motif_color

# %%
# A defective monolayer at 3 counts
# ---------------------------------
# A single Se vacancy takes half of the height of its column. At 3 counts per pixel that is seen in most of
# them; the table at the end says in how many.

truth = simulate.monolayer(
    "MoSe2", (400, 400), counts=3, angle=14, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=11
)
analysis = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
print(analysis.warnings)

# %%
# What the motifs are
# -------------------
# Motif numbers are no names. Before anything is counted, say what each motif is: by the sublattice that its
# columns stand on, and by their height against the most frequent motif there. ``prominence`` is the height of
# each column above its local background, fitted in the unsmoothed image.

site = analysis.cells.lattice.sublattice
labels = analysis.motifs.labels[analysis.firm]  # lattice and cells leave out what the frame cuts in half
height = analysis.columns.prominence[analysis.mask][analysis.firm]
kinds = range(len(analysis.motifs.counts))
sublattice = [np.bincount(site[(labels == motif) & (site >= 0)]).argmax() for motif in kinds]
median = [np.median(height[labels == motif]) for motif in kinds]
relative = [median[motif] / median[sublattice.index(sublattice[motif])] for motif in kinds]
print("motif  columns  sublattice  height  of the pristine")
for motif, count in enumerate(analysis.motifs.counts):
    print(f"{motif:5}  {count:7}  {sublattice[motif]:10}  {median[motif]:6.2f}  {relative[motif]:15.2f}")

# %%
# On one sublattice stand complete columns, columns of half that height (one Se is missing) and empty sites
# (both are missing); on the other one stands Mo, and something 2.7 times as bright, which is W: atomic number
# 74 against 42, to the power of 1.7. A dictionary of motifs keeps such names for the next micrograph.

names = {}
for motif in kinds:
    if relative[motif] > 2:
        names[motif] = "W"
    elif motif == sublattice.index(sublattice[motif]):
        names[motif] = "pristine"
    else:
        names[motif] = "V_Se" if relative[motif] > 0.25 else "V_Se2"

figure, axes = plt.subplots(2, 1, figsize=(7, 9.8), layout="constrained", height_ratios=(2.3, 1))
analysis.plot.micrograph(axes[0])
bins = np.linspace(-0.5, 6.5, 50)
for motif in kinds:
    label = f"motif {motif}: {names[motif]}, sublattice {sublattice[motif]}"
    member = labels == motif
    axes[1].hist(height[member], bins, histtype="step", linewidth=2, color=motif_color(motif), label=label)
axes[1].set(xlabel="height of the column (counts per pixel)", ylabel="columns", yscale="log", ylim=(0.7, 110))
axes[1].legend(fontsize=8, loc="upper right")
plt.show()

# %%
# The heights of motif 2 lie inside those of the other sublattice. A threshold on the height alone would have
# mixed them; what the patch shows around a column says on which sublattice it stands.
#
# Densities
# ---------
# Columns at the border have a motif too, from the part of their patch that is seen, so the area that belongs
# to the counts is the whole image. A count has the exact Poisson interval; with none found it still has an
# upper end.


def interval(count):
    """Return the 95 % interval of the expectation of a count (Garwood)."""
    return (chi2.ppf(0.025, 2 * count) / 2 if count else 0.0), chi2.ppf(0.975, 2 * (count + 1)) / 2


area = analysis.area_nm2
inside = ((truth.points > -0.5) & (truth.points < np.array(truth.image.shape) - 0.5)).all(axis=1)
print(f"over {area:.1f} nm²   found   per nm² (95 %)            truth")
for kind in ("V_Se", "V_Se2", "W"):
    count = sum(int(analysis.motifs.counts[motif]) for motif in kinds if names[motif] == kind)
    low, high = interval(count)
    true = int((truth.labels[inside] == truth.names.index(kind)).sum())
    print(f"{kind:15}   {count:5}   {count / area:.3f} ({low / area:.3f} to {high / area:.3f})   {true:6}")

# %%
# The interval knows the counting statistics alone: not what the analysis missed, and not that defects attract
# each other. How many it misses at your dose is the question of the example on testing an analysis with a
# simulation.
#
# A real micrograph
# -----------------
# MoSe\ :sub:`2` at 40 kV, whose calibration is not in the file and is given by hand, from the lattice
# constant.

path = Path(os.environ.get("MOTIFGPU_DATA", "../../../../../shared/data")) / "MoSe2_40keV" / "image.npy"
if path.is_file():
    real = motifgpu.analyze(path, pixel_size_nm=0.013)
    figure, axes = plt.subplots(2, 1, figsize=(8, 11), layout="constrained", height_ratios=(1.7, 1))
    real.plot.micrograph(axes[0])
    real.plot.layout(axes[1])
    print(real.warnings)
else:
    print("The real micrograph is not here; it would show Se vacancies that cluster.")

plt.show()

# %%
# Nobody knows the truth here. What speaks for the vacancies is that they stand on one sublattice, have half
# of its height, and form a clump of the layout; what speaks against a motif is that its columns lie together
# where the image is dark or dirty. See where the columns of each motif are before counting them.
