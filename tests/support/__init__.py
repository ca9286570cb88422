"""What tests and benchmarks share: oracles, samples, backends and small datasets."""
