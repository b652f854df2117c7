"""Runs networks on this machine, reads what other profilers measured, and probes the machine itself."""
