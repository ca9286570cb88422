"""Launchers of the CUDA kernels: the stages with code of their own, on arrays that lie on a GPU.

Each module has the name and the function signatures of its counterpart in `motifgpu.cpu`; what both share is
in `motifgpu.core`. The kernels are in the folder ``kernels``, beside the package in the repository and inside
it once installed.
"""
