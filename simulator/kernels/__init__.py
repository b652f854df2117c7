"""Graph × fusion rules → kernels."""
