"""Puts the tests' own builders (`support/`) on the path, and keeps Hypothesis from judging a busy machine.

The same commit gives the same examples, so that a gate that passed passes again; `--hypothesis-profile explore` draws
new ones.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

import simulator

sys.path.insert(0, str(Path(__file__).parent))

# Hypothesis draws constants from the modules that are loaded: all of them, so that it draws the same whatever ran before
for found in pkgutil.walk_packages(simulator.__path__, "simulator."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)

busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.register_profile("explore", busy, print_blob=True)
settings.register_profile("tests", busy, derandomize=True)
settings.load_profile("tests")
