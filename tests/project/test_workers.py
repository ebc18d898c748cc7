"""`pytest --workers`: no failure is lost on the way from a worker."""

import os
import subprocess
import sys
from pathlib import Path

PASS_AND_FAIL = """
def test_that_passes():
    pass

def test_that_fails():
    print("its output")
    assert 1 == 2
"""
DIE = """
import os

def test_that_dies():
    os._exit(3)

def test_that_is_not_run():
    pass
"""


def test_failures_and_deaths_in_workers_are_reported(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(PASS_AND_FAIL)
    (tmp_path / "test_two.py").write_text(DIE)
    done = subprocess.run(
        [sys.executable, *"-m pytest -q -p tests.support.workers --workers 2".split()],
        cwd=tmp_path,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 1 passed" in done.stdout
    for text in ("assert 1 == 2", "its output", "test_that_dies", "the worker ended with 3"):
        assert text in done.stdout
