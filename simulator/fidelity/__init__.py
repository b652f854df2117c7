"""Predictions held against measurements: scores, and the constants of runtimes fitted to them."""
