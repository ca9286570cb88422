"""Launchers of the CUDA kernels: the stages with code of their own, on arrays that lie on a GPU.

Each module has the name and the function signatures of its twin in `motifgpu.cpu`; what the twins share is in
`motifgpu.core`. The kernels are in the folder ``kernels``, beside the package in the repository and inside it
once installed.
"""
