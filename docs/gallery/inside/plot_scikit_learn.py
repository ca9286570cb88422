"""
Moments and motifs in a scikit-learn pipeline
=============================================

``ZernikeFeatures``, ``ForceRelaxation`` and ``MotifClusterer`` are scikit-learn estimators. So patches can go
through a pipeline, features can be exchanged, and labels that you have can train a classifier. This example
does each, on patches whose kinds are known.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, adjusted_mutual_info_score, balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import motifgpu
from motifgpu import simulate

# %%
# Patches
# -------
# A pipeline begins with patches (n, s, s), not with images.


def patches_of(seed, counts):
    """Return the patches of a simulated micrograph and what truly stands in the middle of each."""
    truth = simulate.monolayer(
        "MoSe2",
        (320, 320),
        counts=counts,
        angle=8,
        vacancies=0.08,
        divacancies=0.02,
        dopants={"W": 0.04},
        seed=seed,
    )
    columns = motifgpu.find_columns(truth.image)
    patches, inside = motifgpu.extract_patches(truth.image, columns.points, 38)
    nearest = cKDTree(truth.points).query(columns.points[inside])[1]
    return patches, np.array(truth.names)[truth.labels[nearest]]


patches, kinds = patches_of(seed=1, counts=5)
names, counts = np.unique(kinds, return_counts=True)
print(patches.shape, dict(zip(names.tolist(), counts.tolist(), strict=True)))

# %%
# Without labels
# --------------
# The pipeline gives the labels that ``analyze`` gives, since it is the same computation. Like every
# clustering, it is fitted to one set of columns: it has no ``predict`` for others, for which a dictionary of
# motifs is made.

pipeline = make_pipeline(motifgpu.ZernikeFeatures(order=10), motifgpu.MotifClusterer(random_state=0))
found = pipeline.fit_predict(patches)
clusterer = pipeline[-1]
print(f"{len(clusterer.means_)} motifs; agreement {adjusted_mutual_info_score(kinds, found):.3f}")
print(pipeline[0].get_feature_names_out()[:6])

# %%
# Other features take the place of moments with ``method="mixture"``, which takes any numbers; it cannot read
# intensities in the patches then. Agreement with the truth on the same patches:

flat = patches.reshape(len(patches), -1)
for name, method, features in (
    ("moments, columns", "columns", motifgpu.zernike_moments(patches)),
    ("moments, mixture", "mixture", motifgpu.zernike_moments(patches)),
    ("10 components of PCA, mixture", "mixture", PCA(10, random_state=0).fit_transform(flat)),
    ("Fourier-Bessel, mixture", "mixture", motifgpu.patch_features(patches, "fourier-bessel")),
):
    labels = motifgpu.MotifClusterer(method=method, random_state=0).fit_predict(features)
    agreement = adjusted_mutual_info_score(kinds, labels)
    print(f"{name:30} {len(np.unique(labels))} labels, agreement {agreement:.3f}")

# %%
# The mixture divides columns by their environment as well, which patches of this size show. That is no fault
# of the other features.
#
# With labels
# -----------
# Where some columns have labels, by hand or from a simulation, moments are good features for any classifier.
# Patches of one image overlap, so a random split would test on pixels that were trained on: split by image.

parts = [patches_of(seed, counts=1.5) for seed in range(2, 7)]
group = np.repeat(np.arange(len(parts)), [len(part[1]) for part in parts])
all_patches, all_kinds = (
    np.concatenate([part[0] for part in parts]),
    np.concatenate([part[1] for part in parts]),
)
classifier = make_pipeline(
    motifgpu.ZernikeFeatures(order=10),
    StandardScaler(),
    LogisticRegression(C=0.1, class_weight="balanced", max_iter=500),
)
predicted = cross_val_predict(classifier, all_patches, all_kinds, groups=group, cv=GroupKFold(5))
print(f"balanced accuracy at 1.5 counts: {balanced_accuracy_score(all_kinds, predicted):.3f}")


# %%
# Which moments matter
# --------------------
# Names of the features survive the pipeline, so the weights of a linear classifier can be read. For the
# vacancy the largest belong to moments without an angle (q = 0): the height in the middle of the patch
# distinguishes it.

classifier.fit(all_patches, all_kinds)
kept = classifier[-1].classes_.tolist()
weights = classifier[-1].coef_[kept.index("V_Se")]
order = np.argsort(-np.abs(weights))[:12][::-1]

figure, axes = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    all_kinds, predicted, labels=kept, cmap="Blues", ax=axes[0], colorbar=False
)
axes[0].set(title="trained on other images, 1.5 counts", xlabel="predicted", ylabel="true")
axes[1].barh(classifier[0].get_feature_names_out()[order], weights[order], color="#0072B2")
axes[1].set(xlabel="weight for V_Se (per standard deviation)", title="the twelve largest weights")
plt.show()

# %%
# What may go wrong: a classifier trained on a simulation knows the simulation. Other detector, thickness or
# defects than it was trained on it will still call by one of its five names; a dictionary of motifs says
# "unseen" instead.
