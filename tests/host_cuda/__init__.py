"""Runs unchanged CUDA kernels on the CPU, so that they can be tested where there is no GPU.

`device.HostDevice` stands in for a GPU in `motifgpu.cuda.loader`: the launchers run as they are, on NumPy or
array-api-strict arrays, and the kernels are compiled by g++ against ``cuda_on_host.h``. `sanitizers.run`
repeats a case in a child process under the address, undefined-behaviour or thread sanitizer, and `faults`
plants faults in the real kernels.
"""
