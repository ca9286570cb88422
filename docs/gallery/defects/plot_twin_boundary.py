"""
A mirror twin boundary
======================

Along a mirror twin boundary the columns are the same atoms in other environments (Fig. S24 of the paper). So
the *identity* of a column does not show a boundary; its *domain* does, and so do clumps of the layout. This
example compares what each of them shows.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree

import motifgpu
from motifgpu import simulate
from motifgpu.figures.palette import motif_color

# %%
# Two grains and a shared row
# ---------------------------
# A boundary of the type 4|4P: the grains are mirror images of each other and share a row of Se\ :sub:`2`
# columns.

truth = simulate.twin_boundary("MoSe2", (400, 400), counts=10, angle=10, seed=2)
analysis = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
for warning in analysis.warnings:
    print(warning)

# %%
# Identity, domain, clumps
# ------------------------
# ``identities`` says what the column is, ``domains`` on which side it stands, ``labels`` both, with the
# columns at the boundary apart, and regions of the layout divide by all that a patch shows.

regions = motifgpu.find_motifs(
    analysis.moments, analysis.layout, method="regions", environments="regions"
).labels
partitions = {
    "identities": analysis.motifs.identities,
    "labels": analysis.motifs.labels,
    "regions of the layout": regions,
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
nm = truth.pixel_size_nm
for ax, (name, labels) in zip(axes, partitions.items(), strict=True):
    ax.imshow(truth.image, cmap="gray", vmax=np.percentile(truth.image, 99.5))
    for label in range(labels.max() + 1):
        at = analysis.points[labels == label]
        ax.scatter(at[:, 1], at[:, 0], s=16, color=motif_color(label))
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{name}: {labels.max() + 1}", fontsize=10)
    ax.plot([20, 20 + 1 / nm], [385, 385], color="white", linewidth=4)
    ax.text(20, 376, "1 nm", color="white")

plt.show()

# %% The identities know Mo and Se\ :sub:`2`. Labels and regions distinguish the grains, because neighbours
# lie in other directions, and pick out the boundary, labels as one motif.

print(f"{analysis.motifs.domains.max() + 1} domains, {(analysis.motifs.domains < 0).sum()} columns between")

# %%
# Against the truth
# -----------------
# What a column truly is here: its sublattice and its grain, the shared row being neither.

distance, nearest = cKDTree(truth.points).query(analysis.points)
names = {0: "Mo, grain 0", 1: "Mo, grain 1", 3: "Se2, grain 0", 4: "Se2, grain 1", 5: "Se2, shared row"}
kind = 3 * truth.sublattice[nearest] + truth.grain[nearest]
print("true kind        " + "".join(f"{f'region {r}':>10}" for r in range(regions.max() + 1)))
for number, name in names.items():
    print(
        f"{name:17}"
        + "".join(f"{((kind == number) & (regions == r)).sum():10}" for r in range(regions.max() + 1))
    )

# %%
# The shared row is a region of its own. So are the rows beside it on either side, whose patches reach over
# the boundary: the boundary, as patches of 1.7 lattice constants see it, is several rows wide.
#
# The layout shows the same, and the mean patches show what each clump is.

figure = plt.figure(figsize=(9, 3.4), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1, 1.5))
ax = left.subplots()
for region in range(regions.max() + 1):
    at = analysis.layout[regions == region]
    ax.scatter(at[:, 0], at[:, 1], s=10, color=motif_color(region), label=f"region {region} ({len(at)})")
ax.set(xticks=[], yticks=[])
ax.set_title("layout", fontsize=10)
ax.legend(fontsize=7, loc="center", bbox_to_anchor=(0.45, 0.45))
patches, inside = motifgpu.extract_patches(
    analysis.micrograph.image, analysis.points, round(analysis.patch_size.pixels)
)
averages = motifgpu.class_averages(patches, analysis.moments[inside], regions[inside])
panels = right.subplots(2, 5).ravel()
right.suptitle("mean patches of the regions", fontsize=10)
for ax in panels:
    ax.axis("off")
for region, ax in zip(range(len(averages.counts)), panels, strict=False):
    ax.imshow(averages.patches[region], cmap="inferno", vmin=0, vmax=averages.patches.max())
    ax.set_title(f"{region}", color=motif_color(region), fontsize=10, fontweight="bold")

plt.show()

# %%
# What may go wrong: with ``rotation_invariant=True`` the layout sees lengths that do not change when a patch
# is mirrored, and the two grains become one. That is wanted where grains are a nuisance, and loses the twin.

turned = motifgpu.analyze(truth.image, rotation_invariant=True)
found = motifgpu.find_motifs(turned.moments, turned.layout, method="regions", environments="regions").labels
print(f"regions with rotation-invariant features: {found.max() + 1}; otherwise {regions.max() + 1}")
