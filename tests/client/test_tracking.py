"""What `track` wraps, and the tree, attempts, logs and values that it records."""

from tests.client.conftest import Reader, Workspace

KINDS = """
import asyncio
from rungraph import track

class Store:
    @track
    def save(self, value): return value
    @track
    @classmethod
    def load(cls): return cls.__name__
    @staticmethod
    @track
    def check(): return True

@track
def numbers():
    received = yield 1
    assert received == "a"
    inner()
    yield 2
    return 3

@track
def inner(): pass

@track(name=lambda name: f"greet {name}")
def greet(name): return name

@track
async def fetch(x):
    await asyncio.sleep(0)
    greet(x)
    return x

@track
async def stream():
    for x in range(3):
        yield await fetch(x)

@track("decorated")
def block_function(): pass

@track
def main():
    store = Store()
    assert store.save(1) == 1 and Store.load() == "Store" and Store.check()
    generator = numbers()
    assert next(generator) == 1
    inner()
    assert generator.send("a") == 2
    assert list(generator) == []
    next(numbers())
    block_function()
    with track("outer block") as step:
        step.progress(3, 4, "rows")
        step.metric("rows", 17, unit="1")
        step.metric("broken", float("nan"))
        with track("inner block"):
            inner()
    async def together():
        await asyncio.gather(fetch("x"), fetch("y"))
        async with track("async block"):
            await fetch("z")
        return [x async for x in stream()]
    assert asyncio.run(together()) == [0, 1, 2]

main()
"""


async def test_everything_callable_and_blocks_become_a_tree(workspace: Workspace, reader: Reader) -> None:
    await workspace.run_source(KINDS)
    run = await reader.run()
    assert {each["phase"] for each in run["actions"]} == {"SUCCEEDED"}
    names = {each["name"]: each["parentName"] for each in run["actions"]}
    assert names == {
        "main": None,
        **dict.fromkeys(["save", "load", "check", "numbers", "numbers-2", "inner", "decorated"], "main"),
        **dict.fromkeys(["outer block", "fetch", "fetch-2", "async block", "stream"], "main"),
        "inner-2": "numbers",
        "inner block": "outer block",
        "inner-3": "inner block",
        "fetch-3": "async block",
        **dict.fromkeys(["fetch-4", "fetch-5", "fetch-6"], "stream"),
        "greet x": "fetch",
        "greet y": "fetch-2",
        "greet z": "fetch-3",
        "greet 0": "fetch-4",
        "greet 1": "fetch-5",
        "greet 2": "fetch-6",
    }
    block = run["actions"].named("outer block")
    assert block["progress"] == {"done": 3, "total": 4, "message": "rows"}
    assert block["metrics"] == [{"name": "rows", "last": 17, "unit": "1"}]


RETRIES = """
from rungraph import next_attempt, track
calls = {}

@track
def flaky(name, items=()):
    calls[name] = calls.get(name, 0) + 1
    if calls[name] < 3:
        raise ValueError(name)

@track(retry=False)
def never(): raise ValueError

def again(function, *args, **kwargs):
    for _ in range(3):
        try:
            return function(*args, **kwargs)
        except ValueError:
            pass

@track
def hooked():
    next_attempt(ValueError("first"))

@track
def main():
    again(flaky, "a")
    again(flaky, "b", items=[1])
    again(never)
    hooked()
    for number in range(2):
        try:
            with track("upload", retry=True):
                if number == 0:
                    raise ValueError("slow")
        except ValueError:
            pass
    for number in range(2):
        try:
            with track("part"):
                raise ValueError
        except ValueError:
            pass
    keeping = [["same", "length"], ["same", "length"]]
    for each in keeping:  # equal, but not the same objects
        try:
            other(each)
        except ValueError:
            pass

@track
def other(value): raise ValueError

main()
"""


async def test_a_call_with_the_same_arguments_after_a_failure_is_the_next_attempt(
    workspace: Workspace, reader: Reader
) -> None:
    await workspace.run_source(RETRIES)
    run = await reader.run()
    found = {each["name"]: (each["phase"], each["attempts"]) for each in run["actions"]}
    assert found.pop("main") == ("SUCCEEDED", 1)
    ones = ["never", "never-2", "never-3", "part", "part-2", "other"]
    # The list is a new one in each call; a tuple with the same plain values is the same.
    assert found.pop("other-2") == ("FAILED", 1)
    assert found == {
        "flaky": ("SUCCEEDED", 3),
        "flaky-2": ("SUCCEEDED", 3),
        "hooked": ("SUCCEEDED", 2),
        "upload": ("SUCCEEDED", 2),
        **dict.fromkeys(ones, ("FAILED", 1)),
    }


LOGS = """
import logging, sys
from pathlib import Path
from rungraph import current_step, track

@track(outputs=True)
def load(n):
    logging.getLogger("shop").warning("row %d\\nand more", n)
    print("half ", end="")
    print("line")
    print("to stderr", file=sys.stderr)
    current_step().artifact("report.html", Path("report.html"), kind="REPORT")
    current_step().artifact("large.bin", Path("large.bin"))
    return {"rows": n}

@track
def main():
    Path("report.html").write_text("<p>fine</p>")
    Path("large.bin").write_bytes(b"x" * 3_000_000)
    load(7)
    load(8)
    try:
        1 / 0
    except ZeroDivisionError:
        logging.exception("oops")
main()
"""


async def test_logs_and_artifacts_belong_to_their_step(workspace: Workspace, reader: Reader) -> None:
    workspace.write(LOGS)
    done = await workspace.run("script.py", RUNGRAPH_LOGS="all")
    assert done.code == 0
    assert done.stdout == "half line\n" * 2
    run = await reader.run()
    load = run["actions"].named("load")
    lines = await reader.lines(run["name"], "load")
    assert sorted(lines) == [
        ("logging", "WARNING", "and more"),
        ("logging", "WARNING", "row 7"),
        ("stderr", None, "and more"),
        ("stderr", None, "row 7"),
        ("stderr", None, "to stderr"),
        ("stdout", None, "half line"),
    ]
    stored = {(each["kind"], each["name"]): each for each in load["artifacts"]}
    assert stored["OUTPUTS", "return"]["json"] == {"rows": 7}
    assert stored["REPORT", "report.html"]["text"] == "<p>fine</p>"
    assert stored["FILE", "large.bin"]["size"] == 3_000_000
    texts = [text for stream, _, text in await reader.lines(run["name"], "main") if stream == "logging"]
    assert texts[0] == "oops"
    assert texts[-1] == "ZeroDivisionError: division by zero"


ODD = """
import sys
from rungraph import current_step, track

@track(name=lambda value: 1 / 0)
def misnamed(value): return value

@track(name="\\x00\\ud800\\n" + "x" * 1000)
def named(): raise ValueError("\\x00 \\udc80")

class Broken(Exception):
    def __str__(self): raise RuntimeError

@track
def broken(): raise Broken

@track
def main():
    assert misnamed(3) == 3
    for function in (named, broken):
        try:
            function()
        except Exception:
            pass
    current_step().metric("\\x00", 3)
    current_step().artifact("missing", __import__("pathlib").Path("missing"))
    current_step().artifact("odd", {1: {2}})

main()
"""


async def test_nothing_of_the_client_reaches_the_script(workspace: Workspace, reader: Reader) -> None:
    workspace.write(ODD)
    done = await workspace.run("script.py")
    assert done.code == 0
    assert "Traceback" not in done.stderr
    assert sorted(done.stderr.splitlines())[1:] == ["the client failed: ZeroDivisionError: division by zero"]
    run = await reader.run()
    assert run["phase"] == "SUCCEEDED"
    assert sorted(each["phase"] for each in run["actions"]) == ["FAILED", "FAILED", "SUCCEEDED"]


LABELS = """
from rungraph import track

@track(labels=lambda day, **rest: {"day": day, "team": "web"})
def main(day, rows=0):
    nested()
    broken()

@track(labels={"ignored": True})
def nested(): pass

@track(run=True, labels=lambda: 1 / 0)
def broken(): pass

main("2026-11-30", rows=3)
with track("block", labels={"n": 3}): pass
"""


async def test_runs_have_labels(workspace: Workspace, reader: Reader) -> None:
    workspace.write(LABELS)
    done = await workspace.run("script.py", RUNGRAPH_LABELS="team=data, nightly ,=x")
    assert (done.code, done.stderr.count("ZeroDivisionError")) == (0, 1)
    await workspace.push()
    labels = {
        run["actions"][0]["name"]: {each["key"]: each["value"] for each in run["labels"]}
        for run in await reader.runs()
    }
    assert labels == {
        "main": {"day": "2026-11-30", "team": "web", "nightly": ""},
        "broken": {"team": "data", "nightly": ""},
        "block": {"team": "data", "nightly": "", "n": "3"},
    }
