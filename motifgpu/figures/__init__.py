"""Figures of an analysis, drawn with Matplotlib and without any global state."""

from motifgpu.figures.drawing import add_scale_bar, display_range, nice_length
from motifgpu.figures.every import Plots, figures
from motifgpu.figures.image import plot_background, plot_micrograph, plot_reconstruction
from motifgpu.figures.lattice import plot_strain
from motifgpu.figures.layout import plot_layout
from motifgpu.figures.motifs import plot_class_averages, plot_shells, plot_symmetry
from motifgpu.figures.spectrum import plot_patch_size, plot_twist

__all__ = [
    "Plots",
    "add_scale_bar",
    "display_range",
    "figures",
    "nice_length",
    "plot_background",
    "plot_class_averages",
    "plot_layout",
    "plot_micrograph",
    "plot_patch_size",
    "plot_reconstruction",
    "plot_shells",
    "plot_strain",
    "plot_symmetry",
    "plot_twist",
]
