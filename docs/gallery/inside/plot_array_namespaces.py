"""
Staying on an array namespace: NumPy, CuPy, array-api-strict
============================================================

Every stage returns its results in the array namespace and on the device of its input. So a chain that begins
with a CuPy array stays on the GPU until you ask for NumPy. This example runs the chain on NumPy and on
array-api-strict, which is a namespace that refuses what is not in the array API standard, and on CuPy where
there is a GPU.
"""

import importlib.util
import time

import array_api_strict
import matplotlib.pyplot as plt
import numpy as np

import motifgpu
from motifgpu import simulate
from motifgpu.core.namespace import to_numpy

# %%
# The chain as functions
# ----------------------
# The code names no library. Whatever ``image`` is, ``moments`` and ``layout`` are, too.


def chain(image):
    """Go from an image to moments and a layout, and say what each stage took."""
    seconds, begin = {}, time.perf_counter()

    def done(stage):
        nonlocal begin
        seconds[stage] = time.perf_counter() - begin
        begin = time.perf_counter()

    columns = motifgpu.find_columns(image)
    done("columns")
    size = motifgpu.estimate_patch_size(image).pixels
    patches, inside = motifgpu.extract_patches(image, columns.points, round(size), side=size)
    done("patches")
    moments = motifgpu.zernike_moments(patches)
    done("moments")
    graph = motifgpu.affinity_graph(motifgpu.nearest_neighbors(moments, 9))
    layout = motifgpu.relax(graph, motifgpu.pca_start(moments), seed=0)
    done("graph and layout")
    motifs = motifgpu.find_motifs(moments, layout)
    done("motifs")
    return {
        "points": columns.points[inside],
        "moments": moments,
        "layout": layout,
        "labels": motifs.labels,
    }, seconds


truth = simulate.monolayer(
    "MoSe2", (400, 400), counts=10, angle=5, vacancies=0.05, dopants={"W": 0.03}, seed=1
)
host, seconds = chain(truth.image)

# %%
# Another namespace, another device
# ---------------------------------
# array-api-strict stands in for a GPU library in the tests: its second device refuses to be mixed with NumPy,
# as a GPU array does. No line of ``chain`` changes.

device = array_api_strict.Device("device1")
strict, _ = chain(array_api_strict.asarray(truth.image, device=device))
for name, value in strict.items():
    print(f"{name:8} {type(value).__module__.split('.')[0]} on {value.device}, shape {value.shape}")

# %%
# Results come to the host when you ask for them, by ``to_numpy``, which is the same for every namespace.
# ``analyze`` takes arrays of any namespace as well, and its figures and tables are made on the host.

for name in host:
    difference = np.abs(to_numpy(strict[name]).astype(float) - to_numpy(host[name]).astype(float)).max()
    print(f"{name:8} differs from NumPy by at most {difference:.2g}")

# %%
# CuPy
# ----
# Where a GPU and CuPy are there, the same call runs on it. The kernels for neighbours, graph and layout are
# then those of this package, compiled when first used.

has_cupy = importlib.util.find_spec("cupy") is not None
if has_cupy:
    import cupy

    has_cupy = cupy.cuda.is_available()
if has_cupy:
    chain(cupy.asarray(truth.image))  # compiles the kernels
    there, on_gpu = chain(cupy.asarray(truth.image))
    print({stage: f"{1000 * value:.1f} ms" for stage, value in on_gpu.items()})
    print("labels that differ:", int((to_numpy(there["labels"]) != host["labels"]).sum()))
else:
    print("No GPU is usable here.")

# %%
# Many micrographs at once
# ------------------------
# One micrograph is too small to keep a GPU busy. Neighbours, graph and layout therefore take several in one
# call, as rows one after the other with ``offsets`` that say where each begins. What a micrograph gets does
# not depend on what else is in the batch: the layout of the first one is the same to the bit, alone and in
# a batch.

second, _ = chain(simulate.monolayer("WS2", (400, 400), counts=30, vacancies=0.03, seed=2).image)
moments = np.concatenate([host["moments"], second["moments"]])
offsets = np.array([0, len(host["moments"]), len(moments)])
graph = motifgpu.affinity_graph(motifgpu.nearest_neighbors(moments, 9, offsets), offsets=offsets)
together = motifgpu.relax(graph, motifgpu.pca_start(moments, offsets), seed=0)
print("same bits:", np.array_equal(together[: offsets[1]], host["layout"]))

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
for ax, start, labels, name in (
    (axes[0], 0, host["labels"], "MoSe$_2$"),
    (axes[1], 1, second["labels"], "WS$_2$"),
):
    at = together[offsets[start] : offsets[start + 1]]
    for motif in range(labels.max() + 1):
        rows = labels == motif
        color = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")[motif % 5]
        ax.scatter(at[rows, 0], at[rows, 1], s=9, color=color, label=f"motif {motif} ({rows.sum()})")
    ax.set(xticks=[], yticks=[], title=f"{name}, laid out in one batch")
    ax.legend(fontsize=8)

plt.show()

# %%
# What may go wrong: arrays of two namespaces in one call are taken, and the result is in that of the first.
# It is no error, but each such call copies through the host; on a GPU keep to ``to_numpy`` at the end.

mixed = motifgpu.find_motifs(strict["moments"], host["layout"])
print(type(mixed.labels).__module__.split(".")[0], "on", mixed.labels.device)
