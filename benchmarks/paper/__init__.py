"""The paper's own figures and tables, on simulated and real micrographs."""
