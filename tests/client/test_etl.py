"""A script with a pool, retries and logging, tracked by three changed lines."""

import asyncio
import difflib
import re

import pytest

from tests.client.conftest import Reader, Workspace

ETL = '''
"""Our nightly job as it has been for years: download, clean in a pool with retries, load."""
import logging, random, sys, time
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger("etl")
random.seed(11)


def retry(fn, arg, times=3):
    for attempt in range(1, times + 1):
        try:
            return fn(arg)
        except IOError as error:
            log.warning("attempt %d of %s: %s", attempt, arg, error)
            if attempt == times:
                raise
            time.sleep(0.01)


def list_files(day):
    return [f"{day}-{n:02}.csv" for n in range(20)]


failed = set()


def clean(name):
    time.sleep(random.uniform(0.001, 0.01))
    if name[-5] in "37" and name not in failed:
        failed.add(name)
        raise IOError(f"{name}: connection reset")
    return len(name) * 100


def load(rows):
    if "--bad" in sys.argv:
        raise ValueError("row 17 exists")
    return sum(rows)


def main(day):
    files = list_files(day)
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda f: retry(clean, f), files))
    total = load(rows)
    log.info("loaded %d rows", total)
    return total


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    print(main(sys.argv[1]))
'''
TRACKED = ETL.replace("from concurrent", "from rungraph import track\nfrom concurrent", 1).replace(
    "if __name__",
    "list_files, clean, load = map(track, (list_files, clean, load))\nmain = track(main)\nif __name__",
)


def test_the_tracked_script_has_three_more_lines() -> None:
    changed = [each for each in difflib.ndiff(ETL.splitlines(), TRACKED.splitlines()) if each[0] in "+-"]
    assert len(changed) == 3


async def test_a_script_is_a_run_whose_retries_are_attempts(workspace: Workspace, reader: Reader) -> None:
    plain, tracked = workspace.write(ETL, "plain.py"), workspace.write(TRACKED, "etl.py")
    before, after = await asyncio.gather(
        workspace.run(str(plain), "2026-11-30"), workspace.run(str(tracked), "2026-11-30")
    )
    assert (after.code, after.stdout) == (before.code, before.stdout)
    assert sorted(after.stderr.splitlines()) == sorted(before.stderr.splitlines())
    run = await reader.run()
    actions = run["actions"]
    assert (run["phase"], run["functionName"], len(actions)) == ("SUCCEEDED", "etl.main", 23)
    assert {each["phase"] for each in actions} == {"SUCCEEDED"}
    assert not any(each["isPlaceholder"] for each in actions)
    assert actions.tree() == sorted(
        [("main", "", 1), ("list_files", "main", 1), ("load", "main", 1)]
        + [("clean", "main", 1)] * 16
        + [("clean", "main", 2)] * 4
    )
    retried = next(each for each in actions if each["attempts"] == 2)
    first, second = retried["attemptHistory"]
    assert (first["phase"], second["phase"]) == ("FAILED", "SUCCEEDED")
    assert first["error"]["code"] == "OSError"
    assert re.fullmatch(r"OSError: 2026-11-30-\d[37].csv: connection reset", first["error"]["summary"])
    lines = await reader.lines(run["name"], "main")
    assert sorted(lines)[0] == ("logging", "INFO", "loaded 34000 rows")
    assert [each[1] for each in sorted(lines)[1:]] == ["WARNING"] * 4


async def test_a_failed_script_has_the_error_and_prints_the_same_traceback(
    workspace: Workspace, reader: Reader
) -> None:
    workspace.write(ETL, "plain.py")
    workspace.write(TRACKED, "etl.py")
    before, after = await asyncio.gather(
        workspace.run("plain.py", "2026-11-30", "--bad"), workspace.run("etl.py", "2026-11-30", "--bad")
    )
    assert (before.code, after.code) == (1, 1)
    frames = [
        [line for line in each.stderr.splitlines() if not line.startswith(("WARNING", "  File"))]
        for each in (before, after)
    ]
    assert frames[0] == frames[1]
    run = await reader.run()
    assert run["phase"] == "FAILED"
    for name in ("main", "load"):
        error = run["actions"].named(name)["error"]
        assert (error["code"], error["summary"]) == ("ValueError", "ValueError: row 17 exists")
        assert "in load" in error["message"]
        assert "rungraph" not in error["message"]


@pytest.mark.parametrize(
    ("variable", "value"), [("RUNGRAPH_DISABLED", "true"), ("RUNGRAPH_URL", "ftp://files")]
)
async def test_a_disabled_client_records_nothing(
    workspace: Workspace, reader: Reader, variable: str, value: str
) -> None:
    workspace.write(TRACKED, "etl.py")
    done = await workspace.run("etl.py", "2026-11-30", **{variable: value})
    assert (done.code, done.stdout) == (0, "34000\n")
    problem = "'ftp://files/graphql' is not the address of a server, such as http://127.0.0.1:8000\n"
    has_problem = variable == "RUNGRAPH_URL"
    assert ("nothing is recorded: " + problem in done.stderr) == has_problem
    assert await reader.runs() == []
    assert not workspace.spooled()
    pushed = await workspace.run("-m", "rungraph", "push", **{variable: value})
    assert (pushed.code, pushed.stderr) == ((2, problem) if has_problem else (0, ""))
