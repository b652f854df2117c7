"""`python -m simulator` is the command `sim`."""

from simulator.cli.main import run

run()
