"""The tests: their folders mirror the rooms of the code."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
"""The folder of the project."""

DATA = ROOT / "tests" / "data"
"""Recordings of runs that tests import."""
