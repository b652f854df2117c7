"""Puts the tests' own builders (`support/`) on the path, and keeps Hypothesis from judging a busy machine.

The same commit gives the same examples, so that a gate that passed passes again; `--hypothesis-profile explore` draws
new ones.
"""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))

busy = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
settings.register_profile("explore", busy, print_blob=True)
settings.register_profile("tests", busy, derandomize=True)
settings.load_profile("tests")
