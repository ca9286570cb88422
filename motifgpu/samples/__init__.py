"""Micrographs to try motifgpu on: simulated ones that come with it, and real ones from where they are published.

>>> from motifgpu import samples
>>> samples.path("MoSe2_defects").name
'MoSe2_defects.tif'
"""

from motifgpu.samples.catalogue import SAMPLES, Sample
from motifgpu.samples.fetching import path
from motifgpu.samples.simulated import truth

__all__ = ["SAMPLES", "Sample", "path", "truth"]
