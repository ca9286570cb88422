"""
The two-stage layout, beside t-SNE
==================================

The force-relaxed layout is the method's own way of drawing moments in the plane. A first stage in which
repulsion rules spreads the points; a second in which attraction rules condenses them into clumps. This
example shows the stages, sets the result against t-SNE, and says what either can be used for.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.cluster import KMeans
from sklearn.manifold import TSNE
from sklearn.metrics import adjusted_mutual_info_score

import motifgpu
from motifgpu import simulate
from motifgpu.figures.palette import motif_color
from motifgpu.graph.metrics import neighbor_preservation

# %%
# Columns with a truth
# --------------------

truth = simulate.monolayer(
    "MoSe2", (400, 400), counts=10, angle=6, vacancies=0.06, divacancies=0.015, dopants={"W": 0.03}, seed=5
)
columns = motifgpu.find_columns(truth.image)
size = motifgpu.estimate_patch_size(truth.image).pixels
patches, inside = motifgpu.extract_patches(truth.image, columns.points, round(size), side=size)
moments = motifgpu.zernike_moments(patches)
points = columns.points[inside]
kind = truth.labels[np.hypot(*(points[:, None] - truth.points).transpose(2, 0, 1)).argmin(axis=1)]
print(f"{len(points)} columns, {moments.shape[1]} moments each")

# %%
# From moments to a layout
# ------------------------
# Each column is joined to its nine most similar ones by correlation, the weights are made symmetric, and the
# layout starts from two principal components. ``history_every`` keeps layouts on the way.

relaxation = motifgpu.ForceRelaxation(n_neighbors=10, random_state=0, history_every=20)
layout = relaxation.fit_transform(moments)
history = dict(relaxation.history_)
print("sweeps kept:", *history)


def draw(ax, positions, title):
    """Draw a layout coloured by what the columns truly are."""
    for number, name in enumerate(truth.names):
        at = positions[kind == number]
        ax.scatter(at[:, 0], at[:, 1], s=7, color=motif_color(number), label=f"{name} ({len(at)})")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=10)


figure, axes = plt.subplots(1, 4, figsize=(9, 3.2), layout="constrained")
last = max(history)
for ax, (sweep, note) in zip(
    axes,
    (
        (0, "two principal components"),
        (20, "spreading"),
        (100, "end of the first stage"),
        (last, "condensed"),
    ),
    strict=True,
):
    draw(ax, history[sweep], f"sweep {sweep}:\n{note}")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, markerscale=2)
plt.show()

# %%
# Comparison with t-SNE
# ---------------------
# The same moments. Neither layout knows the colours. The share of each column's nine most similar ones that
# are still its neighbours in the plane says how faithful a layout is nearby.

tsne = TSNE(random_state=0, metric="correlation", init="pca").fit_transform(moments)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, positions, name in ((axes[0], layout, "force relaxation"), (axes[1], tsne, "t-SNE")):
    kept = neighbor_preservation(moments, positions)
    draw(ax, positions, f"{name}: {100 * kept:.0f} % of neighbours kept")
axes[1].legend(fontsize=8, markerscale=2)
plt.show()

# %%
# t-SNE keeps more of the nearest neighbours and fills the plane evenly; the force relaxation keeps fewer and
# condenses more, so that a clump is a clump without a choice of threshold. In both, the small clumps are
# environments: a column beside a vacancy looks different from one that is not, and different again on each of
# the vacancy's three sides.
#
# What a layout is good for
# -------------------------
# It is for looking, and for finding that there *is* something. Labels should not be read off it, if what the
# columns are is the question: with five clusters, k-means divides by environment, not by motif. The
# default of ``find_motifs`` reads intensities in the patches instead.

labels = {
    "k-means on the force relaxation": KMeans(5, n_init=10, random_state=0).fit_predict(layout),
    "k-means on t-SNE": KMeans(5, n_init=10, random_state=0).fit_predict(tsne),
    "find_motifs, number not told": motifgpu.find_motifs(moments, layout).labels,
}
print("agreement with the true kinds (adjusted mutual information):")
for name, found in labels.items():
    print(f"  {name:32} {adjusted_mutual_info_score(kind, found):.2f}, {len(np.unique(found))} labels")
