"""Stands in for cupy.cuda.device, see ``fake_cupy``."""

from fake_cupy.device import Device as Device
