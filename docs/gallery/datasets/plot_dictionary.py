"""
Motifs that keep their names: a dictionary
==========================================

Motif 2 of one micrograph is not motif 2 of the next: numbers follow the frequency in each. A dictionary,
learned on a few micrographs, gives the same numbers everywhere, and says of columns like none that it has
seen that they are unseen. This example carries one from an image to others with another dose, gain,
orientation and a new dopant.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree

import motifgpu
from motifgpu import simulate

# %%
# Learn
# -----
# Two micrographs of MoSe\ :sub:`2` with Se vacancies and W. What the dictionary should know must be in them,
# at least three columns of each kind.

known = {"vacancies": 0.05, "divacancies": 0.02, "dopants": {"W": 0.03}}
first = [simulate.monolayer("MoSe2", (360, 360), counts=20, angle=5, seed=seed, **known) for seed in (1, 2)]
analyses = [motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm) for truth in first]
dictionary = motifgpu.MotifDictionary.learn(analyses)


def kinds(analysis, truth):
    """Return the true name of every column."""
    return np.array(truth.names)[truth.labels[cKDTree(truth.points).query(analysis.points)[1]]]


learned = dictionary.assign(analyses[0])
names = {}
for motif in range(len(dictionary.names)):
    held, counts = np.unique(kinds(analyses[0], first[0])[learned.labels == motif], return_counts=True)
    names[motif] = str(held[counts.argmax()])
dictionary = dictionary.renamed(names)
print(dict(zip(dictionary.names, dictionary.counts.tolist(), strict=True)))

# %%
# Names were taken from the truth here; with a real image, look at the class averages and the sublattice. The
# dictionary is a file to keep beside the data.

path = dictionary.save(Path(tempfile.mkdtemp()) / "mose2.motifs")
dictionary = motifgpu.MotifDictionary.load(path)

# %%
# Use it elsewhere
# ----------------
# Another detector gain and offset, another orientation, a quarter of the dose, other shares of the defects:
# the analysis with the dictionary takes its numbers, whatever is frequent here.

other = simulate.monolayer(
    "MoSe2", (360, 360), counts=5, angle=31, vacancies=0.15, dopants={"W": 0.10}, seed=3
)
image = 7.5 * other.image + 400
named = motifgpu.analyze(image, pixel_size_nm=other.pixel_size_nm, dictionary=dictionary)
own = motifgpu.analyze(image, pixel_size_nm=other.pixel_size_nm)
true = kinds(named, other)
print("true name   " + "".join(f"{name:>8}" for name in dictionary.names) + "  unseen      own numbers")
for name in other.names:
    rows = true == name
    counts = [
        int((rows & (named.motifs.labels == motif)).sum()) for motif in [*range(len(dictionary.names)), -1]
    ]
    numbers = {int(m): int((own.motifs.labels[rows] == m).sum()) for m in np.unique(own.motifs.labels[rows])}
    if rows.any():
        print(f"{name:11} " + "".join(f"{count:8}" for count in counts) + f"      {numbers}")

# %%
# Something new
# -------------
# The next specimen holds Fe on Mo sites, which the dictionary has never seen. Such columns are not forced
# into the nearest motif; ``assign`` says that they are unseen, and why: 1, the intensity is that of no motif
# of the sublattice; 2, the patch is that of no sublattice; 3, the image does not show this crystal.

strange = simulate.monolayer(
    "MoSe2", (360, 360), counts=20, angle=5, vacancies=0.05, dopants={"W": 0.03, "Fe": 0.04}, seed=4
)
analysis = motifgpu.analyze(strange.image, pixel_size_nm=strange.pixel_size_nm)
found = dictionary.assign(analysis)
true = kinds(analysis, strange)
for name in ("Mo", "Se2", "V_Se", "W", "Fe"):
    rows = true == name
    reasons = np.unique(found.reason[rows]).tolist()
    print(f"{name:5} {rows.sum():4} columns, {found.unseen[rows].sum():3} unseen, for reasons {reasons}")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
axes[0].imshow(strange.image, cmap="gray", vmax=np.percentile(strange.image, 99.7))
for rows, color, marker, label in (
    (true == "Fe", "#56B4E9", "o", "true Fe"),
    (found.unseen, "#F0A000", "x", "unseen"),
):
    at = analysis.points[rows]
    style = {"facecolors": "none", "edgecolors": color} if marker == "o" else {"color": color}
    axes[0].scatter(
        at[:, 1], at[:, 0], s=90 if marker == "o" else 30, marker=marker, linewidths=1.8, label=label, **style
    )
axes[0].set(xticks=[], yticks=[], title="columns like none in the dictionary")
axes[0].plot([15, 15 + 1 / strange.pixel_size_nm], [348, 348], color="white", linewidth=4)
axes[0].text(15, 341, "1 nm", color="white")
axes[0].legend(loc="upper right")
bins = np.geomspace(0.1, 10, 40)
for name, color in (
    ("Mo", "#0072B2"),
    ("Se2", "#E69F00"),
    ("V_Se", "#009E73"),
    ("W", "#CC79A7"),
    ("Fe", "#D55E00"),
):
    values = np.clip(found.strangeness[true == name], 0.11, 9)
    axes[1].hist(values, bins, histtype="step", linewidth=2, color=color, label=name)
axes[1].axvline(1, color="0.4", linestyle=":")
axes[1].set(xscale="log", yscale="log", xlabel="strangeness (1 is the limit)", ylabel="columns")
axes[1].legend(title="true kind")
plt.show()

# %%
# The dictionary can be extended. The numbers and names that it has stay; new motifs follow.

longer = dictionary.extended(analysis)
print(f"{len(dictionary.names)} motifs before, {len(longer.names)} after: {longer.names}")
again = longer.assign(analysis)
print(
    f"Fe columns unseen: {found.unseen[true == 'Fe'].sum()} before, {again.unseen[true == 'Fe'].sum()} after"
)

# %%
# What may go wrong: a dictionary knows one crystal at one width of patches in nm, and detectors whose
# contrast it can match by a gain and an offset. Other detector angles have another contrast between Mo and
# Se\ :sub:`2`; then all columns are unseen, with reason 3, and a new dictionary has to be learned.
