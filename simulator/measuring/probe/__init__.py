"""What this machine reaches: microbenchmarks, the levels of its caches, and the YAML that says so."""
