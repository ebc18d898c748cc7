"""The example `client/examples/pytest-rungraph`: sessions of pytest as runs."""

import asyncio
import tomllib
from typing import Any

from tests.client.conftest import CLIENT, Actions, Finished, Reader, Workspace

PLUGIN = CLIENT / "examples" / "pytest-rungraph"
FIRST = """
import logging, pytest, sys

attempts = []

def test_passes():
    print("printed")
    print("failed", file=sys.stderr)
    logging.getLogger("app").warning("logged\\nin two lines")

class TestNumbers:
    @pytest.mark.parametrize("n", [1, 2])
    def test_is_one(self, n):
        assert n == 1, "too much"

@pytest.mark.skip(reason="not today")
def test_skipped(): pass

@pytest.mark.xfail(reason="known")
def test_expected(): raise ValueError("x")

@pytest.fixture
def disk(): raise OSError("no disk")

def test_setup(disk): pass

@pytest.mark.flaky(reruns=2)
def test_flaky():
    attempts.append(1)
    print("attempt", len(attempts))
    assert len(attempts) == 3
"""
SECOND = "def test_passes(): pass\ndef test_more(): pass"


async def session(workspace: Workspace, *arguments: str, **environment: str) -> Finished:
    """Runs pytest with the plugin."""
    plugins = {
        "PYTHONPATH": f"{CLIENT}:{PLUGIN}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_PLUGINS": "pytest_rungraph,xdist.plugin,pytest_rerunfailures",
    }
    return await workspace.run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments), **{**plugins, **environment}
    )


def outcomes(actions: Actions) -> dict[str, tuple[Any, str, int]]:
    """Parent, phase and attempts of each action."""
    return {each["name"]: (each["parentName"], each["phase"], each["attempts"]) for each in actions}


def test_its_entry_point_names_its_module() -> None:
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["pytest11"].values()
    assert "def pytest_configure" in (PLUGIN / f"{module}.py").read_text()


async def test_a_session_is_a_run_of_files_and_tests_with_xdist_too(
    workspace: Workspace, reader: Reader
) -> None:
    workspace.write(FIRST, "test_first.py")
    workspace.write(SECOND, "test_second.py")
    # Both take the phases from the reports; the names of the runs say which is which.
    done = await asyncio.gather(
        session(workspace, RUNGRAPH_RUN="alone"), session(workspace, "-n2", RUNGRAPH_RUN="workers")
    )
    assert [each.code for each in done] == [1, 1], done
    for each in done:
        assert "1 failed, 5 passed, 1 skipped, 1 xfailed, 1 error, 2 rerun" in each.stdout
    await workspace.push()
    runs = {run["name"]: run for run in await reader.runs()}
    assert set(runs) == {"alone", "workers"}
    expected = {
        "pytest": (None, "FAILED", 1),
        "test_first.py": ("pytest", "FAILED", 1),
        "test_second.py": ("pytest", "SUCCEEDED", 1),
        "test_first.py::test_passes": ("test_first.py", "SUCCEEDED", 1),
        "TestNumbers::test_is_one[1]": ("test_first.py", "SUCCEEDED", 1),
        "TestNumbers::test_is_one[2]": ("test_first.py", "FAILED", 1),
        "test_skipped": ("test_first.py", "SKIPPED", 1),
        "test_expected": ("test_first.py", "SUCCEEDED", 1),
        "test_setup": ("test_first.py", "FAILED", 1),
        "test_flaky": ("test_first.py", "SUCCEEDED", 3),
        "test_second.py::test_passes": ("test_second.py", "SUCCEEDED", 1),
        "test_more": ("test_second.py", "SUCCEEDED", 1),
    }
    for run in runs.values():
        actions = run["actions"]
        assert outcomes(actions) == expected
        root = actions.named("pytest")
        assert (root["progress"]["done"], root["progress"]["total"]) == (9, 9)
        assert root["error"]["summary"] == "2 of 9 tests failed"
        failed, setup = (
            actions.named(name)["error"] for name in ("TestNumbers::test_is_one[2]", "test_setup")
        )
        assert (failed["code"], failed["summary"]) == ("AssertionError", "AssertionError: too much")
        assert "assert n == 1" in failed["message"]
        assert (setup["code"], setup["summary"]) == ("OSError", "OSError: no disk")
        assert actions.named("test_skipped")["attemptHistory"][0]["error"]["summary"] == "not today"
        attempts = actions.named("test_flaky")["attemptHistory"]
        assert [each["phase"] for each in attempts] == ["FAILED", "FAILED", "SUCCEEDED"]
        lines = await reader.lines(run["name"], "test_first.py::test_passes")
        assert {each for each in lines if each[0] != "log"} == {
            ("stdout", None, "printed"),
            ("stderr", None, "failed"),
        }
        first, second = (each for each in lines if each[0] == "log")
        assert (first[1], first[2].endswith("logged")) == ("WARNING", True)
        assert second == ("log", "WARNING", "in two lines")
        assert await reader.lines(run["name"], "test_flaky", 2) == [("stdout", None, "attempt 2")]
        assert await reader.lines(run["name"], "test_expected") == [
            ("pytest", "WARNING", "failed as expected: known")
        ]


async def test_an_abort_ends_the_session_after_the_current_test(workspace: Workspace, reader: Reader) -> None:
    workspace.write(
        """
        import pytest, time
        @pytest.mark.parametrize("n", range(5000))
        def test_sleeps(n): time.sleep(0.02)
        """,
        "test_slow.py",
    )
    running = asyncio.create_task(session(workspace))
    (run,) = await reader.until(lambda runs: runs and len(runs[0]["actions"]) > 2)
    await reader.abort(run["name"], "enough")
    done = await running
    assert done.code == 2
    assert "aborted in Rungraph: enough" in done.stdout
    (run,) = await reader.until(lambda runs: runs[0]["abort"]["state"] == "CONFIRMED")
    assert run["phase"] == "ABORTED"
    assert {each["phase"] for each in run["actions"]} <= {"ABORTED", "SUCCEEDED"}


async def test_it_is_off_by_default_and_fails_nothing_without_a_server(workspace: Workspace) -> None:
    workspace.write(SECOND, "test_second.py")
    off, disabled, without = await asyncio.gather(
        session(workspace, RUNGRAPH_URL=""), session(workspace, "--no-rungraph"), session(workspace)
    )
    assert [each.code for each in (off, disabled, without)] == [0, 0, 0]
    assert len(workspace.spooled()) == 1
    assert "rungraph" not in off.stdout + disabled.stdout + off.stderr + disabled.stderr
