"""
Finding atom columns at low dose
================================

At one expected count per pixel the eye hardly finds a column, and light columns beside heavy ones are lost at
any dose by a plain maximum filter. The lattice helps: where the image repeats, all its cells together say
where columns can be. This example compares the rules for choosing columns, and shows how far positions can be
trusted.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import motifgpu
from motifgpu import score_detection, simulate

# %%
# One structure at four doses
# ---------------------------
# Dose is given as the expected counts per pixel at the peak of the brightest column. The same seed gives the
# same defects at each dose; only the noise differs.


def mark(ax, columns, size):
    """Draw a dot for every column and a square for every empty site."""
    points, seen = columns.points, columns.occupied
    ax.scatter(points[seen, 1], points[seen, 0], s=size, c="#F0A000", label="column")
    empty = {"marker": "s", "facecolors": "none", "edgecolors": "#56B4E9"}
    ax.scatter(points[~seen, 1], points[~seen, 0], s=5 * size, **empty, label="empty site")


doses = (1, 3, 10, 30)
made = [
    simulate.monolayer("MoSe2", (256, 256), counts=dose, angle=9, vacancies=0.05, divacancies=0.03, seed=4)
    for dose in doses
]
nm = made[0].pixel_size_nm
figure, axes = plt.subplots(2, 4, figsize=(9, 4.9), layout="constrained")
for dose, truth, (top, bottom) in zip(doses, made, axes.T, strict=True):
    columns = motifgpu.find_columns(truth.image)
    top.imshow(truth.image, cmap="gray", vmax=np.percentile(truth.image, 99.8))
    top.set_title(f"{dose} count{'s' if dose > 1 else ''} per pixel")
    bottom.imshow(motifgpu.smooth(truth.image), cmap="gray")
    mark(bottom, columns, 9)
    for ax in (top, bottom):
        ax.set(xticks=[], yticks=[], xlim=(48, 208), ylim=(208, 48))
        ax.plot([58, 58 + 0.5 / nm], [200, 200], color="white", linewidth=4)
        ax.text(58, 194, "0.5 nm", color="white")
axes[0, 0].set_ylabel("as recorded")
axes[1, 0].set_ylabel("smoothed, with columns")
axes[1, 3].legend(loc="upper right", fontsize=8)
plt.show()

# %%
# Above are the images as recorded, below the smoothed ones from which columns are taken. Smoothing projects
# overlapping patches on the few patterns that exceed the noise, so at 1 count the crystal is drawn from
# all its cells and a lone defect is drawn faintly. Blue squares are sites where the lattice predicts a column
# and none is seen: double vacancies, which have no maximum that a search could find.
#
# What goes wrong: a smoothed image always looks convincing. Never judge a defect at low dose by the smoothed
# picture.
#
# Precision and recall
# --------------------
# ``"auto"`` uses the lattice where there is one. ``"prominence"`` takes prominent maxima, and needs no
# lattice; ``"radius"`` is the maximum filter of the paper. The table gives precision / recall for them, in
# MoSe\ :sub:`2`, whose two kinds of column are nearly as bright, and in WS\ :sub:`2`, where an S\ :sub:`2`
# column has a seventh of the height of a W column.

rules = ("auto", "prominence", "radius")


def score(truth, rule):
    """Hold found columns against the truth; double vacancies count neither way."""
    columns = motifgpu.find_columns(truth.image, rule)
    spacing = np.hypot(*truth.u) / np.sqrt(3)
    points = columns.points[columns.occupied]
    return score_detection(points, truth.points, truth.occupied, truth.image.shape, spacing / 3, margin=15)


print("material counts " + "".join(f"{rule:>18}" for rule in rules))
scores = {}
for material in ("MoSe2", "WS2"):
    for dose in doses:
        truth = simulate.monolayer(material, (256, 256), counts=dose, angle=9, vacancies=0.05, seed=5)
        row = scores[material, dose] = [score(truth, rule) for rule in rules]
        print(f"{material:8} {dose:6} " + "".join(f"     {s.precision:.3f} / {s.recall:.3f}" for s in row))

# %%
# In WS\ :sub:`2` the two other rules lose up to half of the columns, which is a whole sublattice: a column
# that is never found is in no statistics afterwards, so look at the sites before anything else.
#
# Positions
# ---------
# The error of a position falls with the square root of the dose as long as counting noise makes it. The
# dotted line has that slope. Displacements smaller than the error at your dose are noise, whatever their
# pattern.

figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
error = [1000 * nm * scores["MoSe2", dose][0].rms for dose in doses]
ax.loglog(doses, error, "o-", color="#0072B2", label="MoSe$_2$, all columns")
ax.loglog(
    doses, [error[2] * np.sqrt(10 / d) for d in doses], ":", color="0.4", label="1 / square root of the dose"
)
ax.set(xlabel="dose (counts per pixel at the peak)", ylabel="RMS error of positions (pm)", xticks=doses)
ax.set_xticklabels([str(d) for d in doses])
ax.minorticks_off()
ax.set_yticks([2, 5, 10, 20])
ax.set_yticklabels(["2", "5", "10", "20"])
ax.legend()
plt.show()

# %%
# A real micrograph
# -----------------
# Monolayer MoSe\ :sub:`2` at 40 kV and a low dose, where the folder of real micrographs is there. It is no
# simulation, so what can be checked is whether the columns lie on a honeycomb and how many sites stand empty.

path = Path(os.environ.get("MOTIFGPU_DATA", "../../../../../shared/data")) / "MoSe2_40keV" / "image.npy"
if path.is_file():
    real = motifgpu.read(path)
    columns = motifgpu.find_columns(real.image)
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.9), layout="constrained")
    for ax in axes:
        ax.imshow(real.image, cmap="gray", vmin=0, vmax=np.percentile(real.image, 99.7))
        ax.set(xticks=[], yticks=[], xlim=(320, 570), ylim=(500, 250))
    mark(axes[1], columns, 12)
    axes[0].set_title("MoSe$_2$ at 40 kV, 250 x 250 px of it")
    axes[1].set_title(f"of {len(columns)} columns {(~columns.occupied).sum()} sites are empty (squares)")
else:
    print("The real micrograph is not here; it would show empty sites in clusters, made by the beam.")

plt.show()
