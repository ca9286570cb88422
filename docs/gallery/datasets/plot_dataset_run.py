"""
A folder of micrographs
=======================

One call analyses a folder, keeps what it found in tables, and can be called again after a crash or when more
files have come. This example runs over a small time series in which the beam makes vacancies, and reads
densities from the store.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars

import motifgpu
from motifgpu import simulate

# %%
# A series under the beam
# -----------------------
# Eight frames; the share of Se sites that lack an atom grows from 1 to 8 %. The ninth file is damaged.

folder = Path(tempfile.mkdtemp())
scans = folder / "scans"
scans.mkdir()
fractions = np.linspace(0.01, 0.08, 8)
made = []
for frame, fraction in enumerate(fractions):
    truth = simulate.monolayer("MoSe2", (320, 320), counts=10, angle=9, vacancies=fraction, seed=frame)
    np.save(scans / f"frame{frame}.npy", truth.image)
    made.append(truth)
(scans / "frame8.npy").write_bytes(b"cut off in the middle of")

# %%
# Run
# ---
# With ``pooled=True`` a dictionary is learned first, from micrographs drawn from the whole folder, so that
# motif 2 is the same thing in every frame. Without it each frame has numbers of its own, and counts cannot be
# compared.

options = {"workers": 1, "pooled": True, "pixel_size_nm": made[0].pixel_size_nm}
found = motifgpu.run(scans, folder / "series.motif", **options)
print(found.micrographs.num_rows, "micrographs;", "quarantined:")
for entry in found.quarantine:
    print(" ", Path(entry["path"]).name, "-", entry["reason"])

# %%
# A damaged file is listed in quarantine and does not stop the run. Check there first: that only eight of nine
# files were analysed is not seen in any density. Called again, the run finds everything done:

found = motifgpu.run(scans, folder / "series.motif", **options)

# %%
# Tables
# ------
# The store is Parquet and Zarr, so any tool reads it. The tables come as Arrow tables; here in pandas, with
# units in the metadata of the columns.

motifs = found.motifs.to_pandas()
print(motifs[["motif", "count", "per_nm2"]])
print(found.counts.schema.field("per_nm2").metadata)

# %% Which motif is the vacancy? The mean patches show it: motif 2 has the three neighbours of one of the
# frequent motifs in the same directions, and half its height.

figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.1), layout="constrained")
rows = [row for row in found.motifs.to_pylist() if row["motif"] >= 0]
for ax, row in zip(axes, rows, strict=True):
    patch = np.reshape(row["average"], (row["average_side"], -1))
    shown = ax.imshow(patch, cmap="inferno", vmin=0, vmax=10)
    ax.set(title=f"motif {row['motif']}: {row['count']:,} columns", xticks=[], yticks=[])
figure.colorbar(shown, ax=axes, label="counts per pixel")
plt.show()

# %%
# The columns themselves are in one Parquet file per micrograph, here read by polars without this package.
# Of columns whose motif is null too little of a patch is seen; where ``whole`` is false, the frame cuts it.

columns = polars.read_parquet(folder / "series.motif" / "columns" / "*.parquet")
print(columns.group_by("motif").agg(polars.len(), polars.col("prominence").median().round(2)).sort("motif"))

# %%
# Densities over the series
# -------------------------
# The table of counts has a row for every micrograph and motif, zeros included, with the exact 95 % interval
# of the density. The names of the files are in the table of micrographs.

counts = found.counts.to_pandas().merge(found.micrographs.to_pandas()[["micrograph", "title"]])
vacancies = counts[counts.motif == 2].sort_values("title")
print(vacancies[["title", "count", "per_nm2", "per_nm2_low", "per_nm2_high"]].to_string(index=False))

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
error = (vacancies.per_nm2 - vacancies.per_nm2_low, vacancies.per_nm2_high - vacancies.per_nm2)
ax.errorbar(range(8), vacancies.per_nm2, error, fmt="o", color="#0072B2", capsize=4, label="found, 95 %")
true = [(truth.labels == truth.names.index("V_Se")).sum() for truth in made]
area = (320 * made[0].pixel_size_nm) ** 2
ax.plot(range(8), np.array(true) / area, "s", mfc="none", color="#D55E00", label="true, over the whole frame")
sites = (made[0].sublattice == 1).sum()
ax.plot(
    range(8), fractions * sites / area, color="0.5", linestyle=":", label="expected, 1 to 8 % of the Se sites"
)
ax.set(xlabel="frame", ylabel="single Se vacancies per nm²")
ax.legend()
plt.show()

# %%
# A density belongs to the area of the pixels that are data; the store holds it.
#
# Micrographs to look at
# ----------------------
# ``explained`` is the mean confidence of the columns, 0 for those that are none of the motifs. Sort by it to
# see the strangest micrograph first; ``found.report()`` writes a page that does.

table = found.micrographs.to_pandas().sort_values("explained")
print(table[["title", "points", "motifs", "unassigned", "explained"]].head(4).to_string(index=False))

# %%
# What may go wrong: the 64 micrographs from which a pooled dictionary is learned may miss a kind that occurs
# in few of them. Its columns are then unassigned and lower ``explained``; learn a dictionary with that
# micrograph and run again.
