"""Columns in, columns out: compute, traffic, energy, bound."""
