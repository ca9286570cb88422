"""What the page of results is made of, in its order."""

from __future__ import annotations

from benchmarks.page.features import bases, embeddings, noise, speed
from benchmarks.page.markdown import Section
from benchmarks.page.rare import rare
from benchmarks.page.samples import samples
from benchmarks.page.structure import defects, occupancy, twist
from benchmarks.page.truth import columns, hierarchy, motifs, scaling

SECTIONS = (
    Section(
        "speed",
        "Speed: Table S2 and the whole chain",
        ("relaxation_over_iterations", "relaxation_speed_*", "neighbors", "chain_*"),
        speed,
    ),
    Section("noise", "Noise: Fig. S1 to S3", ("crystal_broadening", "patch_broadening_*"), noise),
    Section(
        "bases",
        "Bases: Fig. S5, S6, S8 and S9",
        ("truncation", "reconstruction_against_pca*", "bases *", "moments_*"),
        bases,
    ),
    Section(
        "embeddings",
        "Layouts: Fig. S13 and S14",
        ("embeddings *", "relaxation_of_a_real_micrograph"),
        embeddings,
    ),
    Section(
        "occupancy",
        "Occupancy: Fig. S20 and S27",
        ("few_windows_look_ordered", "entropies_against_theory", "tiling_from_its_image"),
        occupancy,
    ),
    Section("twist", "Twisted bilayers: Fig. S21 and S22", ("twist_by_search", "nine_cases"), twist),
    Section("defects", "Defects: Fig. S23 to S25 and S28", ("defects*",), defects),
    Section("columns", "Columns: detection and position", ("columns", "columns_by_atomap"), columns),
    Section("samples", "Samples of all kinds", ("samples",), samples),
    Section("motifs", "Motifs over dose", ("motifs_*",), motifs),
    Section(
        "rare",
        "Rare defects at low dose",
        ("rare_*", "rarity", "false_splits", "multislice_contrast", "published_vacancies"),
        rare,
    ),
    Section(
        "hierarchy",
        "Hierarchy and reconstruction",
        ("components_*", "reconstruction_against_truth"),
        hierarchy,
    ),
    Section("scaling", "Scaling", ("scaling",), scaling),
)
