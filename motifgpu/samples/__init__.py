"""Micrographs to try things on: simulated ones that come along, and measured ones by their address.

>>> from motifgpu import samples
>>> samples.path("MoSe2_defects").name
'MoSe2_defects.tif'
"""

from motifgpu.samples.catalogue import SAMPLES, Sample
from motifgpu.samples.fetching import path
from motifgpu.samples.simulated import truth

__all__ = ["SAMPLES", "Sample", "path", "truth"]
