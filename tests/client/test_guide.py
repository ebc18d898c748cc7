"""The scripts of docs/python.md work."""

import re

from tests import ROOT
from tests.client.conftest import Reader, Workspace

TRACKED, STEP, FAILED_TODAY, FOLLOW, AWAIT, PLUGIN = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL
)


async def test_scripts_of_the_guide_are_runs(workspace: Workspace, reader: Reader) -> None:
    await workspace.run_source(TRACKED)
    run = await reader.run()
    assert run["actions"].tree() == sorted(
        [("main", "", 1), ("load", "main", 1)] + [("clean", "main", 1)] * 3
    )
    (workspace.folder / "report.html").write_text("<p>fine</p>")
    await workspace.run_source(STEP + "\nload([1, 2])")
    await workspace.push()
    runs = await reader.until(lambda runs: len(runs) == 2)
    (load,) = next(each["actions"] for each in runs if each["name"].startswith("load"))
    assert (load["progress"]["done"], load["metrics"][0]["last"]) == (2, 2)
    assert [each["name"] for each in load["artifacts"]] == ["report.html"]


WORK = """
import sys
from rungraph import track

@track
def load(rows):
    if rows == "bad":
        raise ValueError("row 17 exists")

@track(outputs=True)
def main(rows):
    load(rows)
    return 3

print("begun", flush=True)
main(sys.argv[1])
"""


async def test_scripts_of_the_guide_read_runs(workspace: Workspace, reader: Reader) -> None:
    workspace.write(WORK)
    for rows in ("good", "bad"):
        await workspace.run("script.py", rows, RUNGRAPH_RUN=rows)
    await workspace.push()
    today = await workspace.run(str(workspace.write(FAILED_TODAY, "today.py")))
    assert (today.code, today.stdout, today.stderr) == (0, "bad ValueError: row 17 exists\n", "")
    workspace.write(FOLLOW, "follow.py")
    good, bad = [await workspace.run("follow.py", rows) for rows in ("good", "bad")]
    assert (good.code, good.stdout.splitlines()) == (0, ["main SUCCEEDED", "load SUCCEEDED"])
    assert (bad.code, bad.stdout.splitlines()) == (1, ["main FAILED", "load FAILED"])
    waited = await workspace.run(str(workspace.write(AWAIT, "await.py")), "good", "bad")
    assert waited.stdout.splitlines() == ["good SUCCEEDED ['return']", "bad FAILED []"]
    assert waited.stderr == ""


async def test_the_steps_of_the_guide_begin_and_end_by_calls(workspace: Workspace, reader: Reader) -> None:
    await workspace.run_source(PLUGIN)
    run = await reader.run()
    actions = run["actions"]
    assert {each["name"]: (each["parentName"], each["phase"]) for each in actions} == {
        "nightly": (None, "SUCCEEDED"),
        "compile": ("nightly", "SUCCEEDED"),
        "deploy": ("nightly", "SKIPPED"),
    }
    first, second = actions.named("compile")["attemptHistory"]
    assert (first["phase"], first["error"]) == ("FAILED", {"code": "CC", "summary": "exit code 1"})
    assert second["phase"] == "SUCCEEDED"
    (skipped,) = actions.named("deploy")["attemptHistory"]
    assert skipped["error"]["summary"] == "nothing changed"
    lines = await reader.lines(run["name"], "compile")
    assert lines == [("stderr", "WARNING", "cc: warning: unused variable")]
