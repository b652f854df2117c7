"""Estimate → text, tables, data, pictures."""
