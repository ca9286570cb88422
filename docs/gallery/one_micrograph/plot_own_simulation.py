"""
How far can it be trusted at my dose?
=====================================

No analysis of a real micrograph comes with its own error rate. A simulation in the image of the micrograph
has one: the same crystal, pixel size, dose and noise, and defects that are known. This example makes such a
copy, measures what share of vacancies is found at which dose, and what a density that was measured means
then.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree

import motifgpu
from motifgpu import simulate

# %%
# The micrograph in question
# --------------------------
# It takes the place of yours: assume that its truth is not known.

yours = simulate.monolayer("MoSe2", (320, 320), counts=1.5, angle=20, vacancies=0.05, scan=0.4, seed=99)
pixel_size = yours.pixel_size_nm
analysis = motifgpu.analyze(yours.image, pixel_size_nm=pixel_size)
lattice = analysis.cells.lattice
print(f"{lattice.kind} lattice of {np.hypot(*lattice.u) * pixel_size:.4f} nm")
print(f"motifs of {analysis.motifs.counts.tolist()} columns")

# %%
# What the copy must have
# -----------------------
# Its parameters are measured on the micrograph: lattice constant and direction from the lattice, the width of
# columns from ``sigma_px``, which smoothing widens a little, and the dose from the heights. The dose is right
# when heights are counts; where a detector has a gain, compare the noise of the two images instead.

a = float(np.hypot(*lattice.u))
angle = float(np.degrees(np.arctan2(-lattice.u[0], lattice.u[1])))
height = analysis.columns.prominence[analysis.mask]
brightest = max(np.median(height[analysis.motifs.labels == motif]) for motif in (0, 1))
sigma = analysis.columns.sigma_px / a
print(f"a = {a:.2f} px, angle = {angle:.1f} degrees, sigma = {sigma:.3f} a, dose = {brightest:.2f}")


def simulated_copy(dose, seed, vacancies=0.05):
    """Simulate a micrograph like yours."""
    return simulate.monolayer(
        "MoSe2",
        (320, 320),
        lattice_constant=a,
        angle=angle,
        counts=dose,
        vacancies=vacancies,
        scan=0.4,
        seed=seed,
    )


# %%
# Scores
# ------
# A vacancy counts as found when its column is in the motif that holds most vacancies and is no frequent
# motif. Recall is the share of true vacancies that were found; precision the share of those found that are
# true.


def scores(truth):
    """Return hits, true vacancies and columns called vacancies."""
    found = motifgpu.analyze(truth.image, structure=False)
    nearest = cKDTree(truth.points).query(found.points)[1]
    vacancy = truth.labels[nearest] == truth.names.index("V_Se")
    labels = found.motifs.labels
    held = np.bincount(labels[vacancy & (labels >= 2)], minlength=3)
    called = labels == held.argmax() if held.any() else np.zeros(len(labels), bool)
    return np.array([(called & vacancy).sum(), vacancy.sum(), called.sum()])


doses = (0.7, 1, 1.5, 2, 3, 5)
total = {dose: np.array([scores(simulated_copy(dose, seed)) for seed in range(5)]) for dose in doses}
recall = {dose: each[:, 0].sum() / each[:, 1].sum() for dose, each in total.items()}
precision = {dose: each[:, 0].sum() / max(each[:, 2].sum(), 1) for dose, each in total.items()}

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
ax.semilogx(doses, [recall[d] for d in doses], "o-", color="#0072B2", label="recall")
ax.semilogx(doses, [precision[d] for d in doses], "s-", color="#D55E00", label="precision")
ax.axvline(brightest, color="0.6", linestyle=":", label="the micrograph in question")
ax.set(xlabel="dose (counts per pixel at the peak)", ylabel="single vacancies", ylim=(0, 1.03), xticks=doses)
ax.set_xticklabels([*map(str, doses)])
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()

# %%
# From the count to a density
# ---------------------------
# A count is low by the recall and high by what is false. Corrected by the copy: true = counted x precision /
# recall. It holds as long as the copy has about as many defects as the micrograph, so choose its share by the
# result and repeat.

counted = int((analysis.motifs.labels == 2).sum())
nearest_dose = min(doses, key=lambda dose: abs(dose - brightest))
corrected = counted * precision[nearest_dose] / recall[nearest_dose]
inside = yours.points[yours.labels == yours.names.index("V_Se")]
half = analysis.patch_size.pixels / 2
true = int(((inside > half) & (inside < 319 - half)).all(axis=1).sum())
print(f"counted {counted}, corrected {corrected:.1f}, truly {true}")

# %%
# The false alarm
# ---------------
# The question that matters most: what does the analysis say of a crystal without a single defect? Every motif
# beyond two is then wrong.

empty = [
    motifgpu.analyze(simulated_copy(brightest, seed, vacancies=0).image, structure=False)
    for seed in range(10, 16)
]
for number, each in enumerate(empty):
    print(f"perfect crystal {number}: motifs of {each.motifs.counts.tolist()}")


# %%
# And how well are the motifs of the micrograph itself separated?

bins = np.linspace(0, 2.5, 40)
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for motif, color in zip(
    range(len(analysis.motifs.counts)), ("#0072B2", "#E69F00", "#009E73", "#CC79A7"), strict=False
):
    member = analysis.motifs.labels == motif
    ax.hist(
        height[member],
        bins,
        histtype="step",
        linewidth=2,
        color=color,
        label=f"motif {motif} ({member.sum()})",
    )
ax.set(xlabel="height of the column (counts per pixel)", ylabel="columns", title="the micrograph in question")
ax.legend()
plt.show()

# %% What the simulated copy does not include: contamination, tilt, real probe tails and detector response.
# Recall on the copy is a limit that the real micrograph will not exceed, not a promise. Where the heights of
# two motifs overlap as much as here, single columns are uncertain even when densities are right.
