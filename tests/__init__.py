"""The tests; their folders mirror those of the code."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The root folder of the project."""

DATA = ROOT / "tests" / "data"
"""Recordings of runs that tests import."""
