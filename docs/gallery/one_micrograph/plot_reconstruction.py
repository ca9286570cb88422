"""
The image, rebuilt from its motifs
==================================

Put the mean patch of its class in the place of every column, and an image comes out that holds what the
classes know and nothing else (Fig. 3B and C of the paper). What is left over is what they do not explain, so
the residual is a check of the analysis; and leaving out the crystal's motifs shows the defects alone.
"""

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import motifgpu
from motifgpu import simulate

# %%
# Rebuild
# -------

truth = simulate.monolayer(
    "MoSe2", (400, 400), counts=5, angle=14, vacancies=0.04, divacancies=0.01, dopants={"W": 0.02}, seed=6
)
analysis = motifgpu.analyze(truth.image, pixel_size_nm=truth.pixel_size_nm)
rebuilt = analysis.reconstruct()
nm = truth.pixel_size_nm


def psnr(image):
    """Return the PSNR against the image without noise, away from the border, dB."""
    inner = (slice(30, -30),) * 2
    error = np.mean((image[inner] - truth.clean[inner]) ** 2)
    return 10 * np.log10(np.ptp(truth.clean) ** 2 / error)


smoothed = motifgpu.smooth(truth.image)
pictures = {"as recorded": truth.image, "smoothed": smoothed, "rebuilt from 30 classes": rebuilt.image}
figure, axes = plt.subplots(2, 2, figsize=(8, 8.4), layout="constrained")
for ax, (name, picture) in zip(
    axes.flat, {**pictures, "without noise (truth)": truth.clean}.items(), strict=True
):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=0.9 * truth.clean.max())
    quality = "" if picture is truth.clean else f", {psnr(picture):.1f} dB"
    ax.set(title=name + quality, xticks=[], yticks=[], xlim=(60, 260), ylim=(260, 60))
    ax.plot([70, 70 + 0.5 / nm], [250, 250], color="white", linewidth=4)
    ax.text(70, 243, "0.5 nm", color="white")

plt.show()

# %%
# Averages over many columns have less noise than any smoothed column, so the rebuilt image is nearer to the
# truth than the smoothed one. It is not a denoised micrograph: what is rare enough to be in no class of its
# own is drawn as something frequent.
#
# How many classes?
# -----------------
# Classes for this are finer than motifs, because environments differ within a motif. Too few draw
# all columns of a kind alike; too many average over too few.

numbers = (2, 5, 10, 20, 30, 60, 120)
quality = [psnr(analysis.reconstruct(classes=number).image) for number in numbers]
by_motif = psnr(analysis.reconstruct(classes=analysis.motifs.labels).image)
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.semilogx(numbers, quality, "o-", color="#0072B2", label="k-means classes of the moments")
ax.axhline(
    by_motif, color="#009E73", linestyle="--", label=f"the {len(analysis.motifs.counts)} motifs as classes"
)
ax.axhline(psnr(smoothed), color="#D55E00", linestyle=":", label="smoothed image")
ax.set(xlabel="classes", ylabel="PSNR against the truth (dB)", xticks=numbers)
ax.set_xticklabels([*map(str, numbers)])
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()

# %%
# Residual, and the defects alone
# -------------------------------
# The residual is the smoothed image less the rebuilt one. Structure in it, in place of noise, is what the
# classes do not include. With the two most frequent motifs hidden, what is left in the rebuilt image are
# patches around defects.

print(analysis.warnings)

alone = analysis.reconstruct(hide=(0, 1))
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
reach = np.percentile(np.abs(rebuilt.residual), 99.5)
shown = axes[0].imshow(rebuilt.residual, cmap="RdBu_r", vmin=-reach, vmax=reach)
figure.colorbar(shown, ax=axes[0], shrink=0.85, label="counts per pixel")
axes[0].set_title(f"residual of the rebuilt image; {100 * rebuilt.uncovered:.0f} % not covered")
axes[1].imshow(np.where(alone.covered, alone.image, np.nan), cmap="gray")
defects = truth.points[truth.labels > 1]
axes[1].scatter(
    defects[:, 1], defects[:, 0], s=60, facecolors="none", edgecolors="#F0A000", label="true defects"
)
axes[1].set(title="motifs 0 and 1 hidden", facecolor="0.2", xlim=(0, 400), ylim=(400, 0))
axes[1].legend(loc="upper right")
for ax in axes:
    ax.set(xticks=[], yticks=[])

plt.show()

# %%
# The residual has dark spots where the image is darker than was rebuilt: double vacancies. Of these there are
# only two in the field of view, fewer than the three that make a motif, so the analysis left them unassigned
# and k-means put them into a class of something else. Columns near the border have no whole patch and are not
# rebuilt.
#
# A real micrograph
# -----------------
# Ti-doped WSe\ :sub:`2`, a coarse image in which a lattice constant has 8 pixels; a part of it.

path = Path(os.environ.get("MOTIFGPU_DATA", "../../../../../shared/data")) / "TiWSe2" / "adf2.dm4"
if path.is_file():
    real = motifgpu.read(path)
    part = motifgpu.Micrograph(real.image[:256, :256], real.pixel_size_nm, real.source)
    found = motifgpu.analyze(part)
    again = found.reconstruct()
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
    for ax, (name, picture) in zip(
        axes,
        {"as recorded": part.image, "rebuilt": again.image, "residual": again.residual}.items(),
        strict=True,
    ):
        low, high = np.percentile(picture, [0.5, 99.5])
        options = {"cmap": "RdBu_r", "vmin": -high, "vmax": high} if name == "residual" else {"cmap": "gray"}
        ax.imshow(picture, **{"vmin": low, "vmax": high, **options})
        ax.set(title=name, xticks=[], yticks=[])
        ax.plot([10, 10 + 2 / real.pixel_size_nm], [248, 248], color="white", linewidth=4)
        ax.text(10, 243, "2 nm", color="white")
    print(f"{len(found.points)} columns; PSNR {again.psnr:.1f} dB against the smoothed image")
else:
    print("The real micrograph is not here; its residual would show the slow background and the dirt.")

plt.show()
