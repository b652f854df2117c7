"""Typer commands: parse, call the library, print."""
