"""Puts the tests' own builders (`support/`) on the path: `from support.graphs import graph`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
