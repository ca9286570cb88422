"""
Choosing the patch size
=======================

A patch that is too small knows the column and nothing around it; one that is too large mixes in what is far
away, and every column looks different. The paper takes two periods of the first ring of the power spectrum,
which follows from the image alone. This example shows where the number comes from, when to distrust it, and
what other sizes do.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

import motifgpu
from motifgpu import simulate

# %%
# Where the number comes from
# ---------------------------
# The power spectrum of a crystal is a set of peaks; its radial mean has one peak per ring. The first ring at
# frequency f\ :sub:`0` gives the size 2 / f\ :sub:`0`: 1.73 lattice constants on a hexagonal lattice and 2 on
# a square one.

truth = simulate.monolayer(
    "MoSe2", (360, 360), counts=10, angle=5, vacancies=0.05, divacancies=0.01, dopants={"W": 0.03}, seed=2
)
micrograph = motifgpu.Micrograph.from_array(truth.image, truth.pixel_size_nm)
analysis = motifgpu.analyze(micrograph)
size = analysis.patch_size
print(f"{size.pixels:.1f} px with confidence {size.confidence:.2f}")
print("candidates:", ", ".join(f"{side:.1f} px" for side in size.candidates))

figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained", width_ratios=(1.6, 1))
analysis.plot.patch_size(axes[0])
lattice = motifgpu.estimate_patch_size(truth.image, "lattice").pixels
middle = analysis.points[np.hypot(*(analysis.points - 180).T).argmin()]
axes[1].imshow(motifgpu.smooth(truth.image), cmap="gray")
for side, color, name in (
    (0.8 * lattice, "#56B4E9", "column alone, 0.8 a"),
    (lattice, "#CC79A7", "lattice constant, a"),
    (size.pixels, "#E69F00", "the paper's, 1.73 a"),
    (3 * lattice, "#D55E00", "too large, 3 a"),
):
    axes[1].add_patch(plt.Circle(middle[::-1], side / 2, fill=False, color=color, linewidth=2.5, label=name))
axes[1].set(
    xlim=(middle[1] - 50, middle[1] + 50), ylim=(middle[0] + 50, middle[0] - 50), xticks=[], yticks=[]
)
axes[1].legend(loc="upper right", fontsize=8)
axes[1].set_title("discs of four sizes", fontsize=10)
plt.show()

# %%
# What the size does
# ------------------
# The same columns, described by patches of growing size. Two questions have two answers: what is the column
# itself (its identity), and what is the column with its neighbours (its environment). The moments are given,
# as features, to the generic clustering, without help from the lattice, so that the figure shows what the
# patches hold: agreement with the truth as adjusted mutual information, 1 where all is right and 0 for
# chance.

sides = np.array([0.6, 0.8, 1.0, 1.36, 1.73, 2.2, 3.0])
identity, environment = [], []
for side in sides * lattice:
    patches, inside = motifgpu.extract_patches(
        truth.image, analysis.points, max(round(side), 24), side=float(side)
    )
    moments = motifgpu.zernike_moments(patches)
    layout = motifgpu.ForceRelaxation(random_state=0).fit_transform(moments)
    nearest = np.hypot(*(analysis.points[inside][:, None] - truth.points).transpose(2, 0, 1)).argmin(axis=1)
    mixture = motifgpu.find_motifs(moments, layout, method="mixture", environments="regions").labels
    regions = motifgpu.find_motifs(moments, layout, method="regions", environments="regions").labels
    identity.append(adjusted_mutual_info_score(truth.labels[nearest], mixture))
    environment.append(adjusted_mutual_info_score(truth.environments[nearest], regions))

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(sides, identity, "o-", color="#0072B2", label="identity, from the intensities (mixture)")
ax.plot(sides, environment, "s-", color="#D55E00", label="environment, from clumps of the layout")
ax.axvline(1.73, color="0.6", linestyle=":")
ax.text(1.75, 0.02, "the paper's size", color="0.4")
ax.set(xlabel="side of a patch (lattice constants)", ylabel="adjusted mutual information", ylim=(0, 1.02))
ax.legend()
plt.show()

# %%
# ``analyze`` needs no choice: it takes the paper's size, so that a patch shows its neighbours, and reads
# the identity from the middle of the patch.

nearest = np.hypot(*(analysis.points[:, None] - truth.points).transpose(2, 0, 1)).argmin(axis=1)
print(f"analyze, identity: {adjusted_mutual_info_score(truth.labels[nearest], analysis.motifs.labels):.3f}")
found = adjusted_mutual_info_score(truth.environments[nearest], analysis.motifs.environments)
print(f"analyze, environment: {found:.3f}")

# %%
# What may go wrong
# -----------------
# The confidence is the share of the power on the first ring that is above its local background. Where it is
# low, look at the curve: a moire, a superstructure or scan lines make rings of their own, and the candidates
# list them all. Give the right one as ``analyze(image, patch_size=...)``. An image without a clear ring is an
# error, not a guess:

noise = np.random.default_rng(0).poisson(3, (256, 256))
try:
    motifgpu.estimate_patch_size(noise)
except motifgpu.StageError as error:
    print(error)
