"""How scripts end: aborts, signals and exit codes."""

import asyncio
import signal
import time

import pytest

from tests.client.conftest import SECONDS, Reader, Workspace

ABORTED = """
import asyncio, sys, time
from concurrent.futures import ThreadPoolExecutor
from rungraph import Aborted, track

@track
def step():
    time.sleep(0.01)

@track
async def fetch():
    await asyncio.sleep(100)

@track
def waiting():
    async def all_of_them():
        await asyncio.gather(fetch(), fetch())
    asyncio.run(all_of_them())

@track
def looping():
    while True:
        step()

@track
def pool():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: step(), range(100_000)))

@track
async def awaiting():
    await asyncio.gather(fetch(), fetch())

try:
    if sys.argv[1] == "awaiting":
        asyncio.run(awaiting())
    else:
        globals()[sys.argv[1]]()
except Aborted as error:
    print("aborted", error.reason, time.time())
"""


@pytest.mark.parametrize("kind", ["looping", "pool", "waiting", "awaiting"])
async def test_an_abort_stops_the_script_and_is_confirmed(
    workspace: Workspace, reader: Reader, kind: str
) -> None:
    workspace.write(ABORTED)
    process = await workspace.start("script.py", kind)
    (run,) = await reader.until(lambda runs: runs and len(runs[0]["actions"]) > 1)
    await reader.abort(run["name"], "wrong day")
    requested = time.time()
    done = await workspace.finish(process)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("aborted wrong day")
    (run,) = await reader.until(lambda runs: runs[0]["abort"]["state"] == "CONFIRMED")
    assert run["phase"] == "ABORTED"
    assert {each["phase"] for each in run["actions"]} <= {"ABORTED", "SUCCEEDED"}
    if kind in ("waiting", "awaiting"):
        assert run["actions"].named("fetch")["phase"] == "ABORTED"
    assert float(done.stdout.split()[-1]) - requested < SECONDS


ENDINGS = """
import os, signal, sys, time
from rungraph import flush, track

@track
def step(how):
    if how == "wait":
        flush()
        print("waiting", flush=True)
        time.sleep(100)
    if how == "exit":
        sys.exit(int(sys.argv[2]))
    if how == "exit at once":
        os._exit(int(sys.argv[2]))
    if how == "handler":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(100)

@track
def main(how):
    step(how)

main(sys.argv[1])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_script_as_before_and_its_steps_as_aborted(
    workspace: Workspace, reader: Reader, number: int
) -> None:
    workspace.write(ENDINGS)
    process = await workspace.start("script.py", "wait")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), SECONDS) == b"waiting\n"
    process.send_signal(number)
    done = await workspace.finish(process)
    assert done.code == -number
    run = await reader.run()
    assert {each["phase"] for each in run["actions"]} == {"ABORTED"}


@pytest.mark.parametrize("how", ["exit", "exit at once"])
@pytest.mark.parametrize(("code", "phase"), [(0, "SUCCEEDED"), (3, "FAILED"), (130, "ABORTED")])
async def test_an_exit_code_decides_the_phase(
    workspace: Workspace, reader: Reader, how: str, code: int, phase: str
) -> None:
    workspace.write(ENDINGS)
    done = await workspace.run("script.py", how, str(code))
    assert (done.code, done.stderr) == (code, "")
    run = await reader.run()
    assert {each["phase"] for each in run["actions"]} == {phase}
    assert (run["error"] or {}).get("summary") == (None if code == 0 else f"SystemExit: {code}")


async def test_a_handler_of_the_script_stays(workspace: Workspace, reader: Reader) -> None:
    workspace.write(ENDINGS)
    done = await workspace.run("script.py", "handler")
    assert done.code == 143
    assert (await reader.run())["phase"] == "ABORTED"


async def test_a_killed_script_is_lost_when_its_lease_expires(workspace: Workspace, reader: Reader) -> None:
    """The lease begins with the first report."""
    workspace.write(ENDINGS)
    process = await workspace.start("script.py", "wait", RUNGRAPH_LEASE_SECONDS="2")
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), SECONDS) == b"waiting\n"
    process.kill()
    await workspace.finish(process)
    (run,) = await reader.until(lambda runs: runs[0]["phase"] == "FAILED")
    assert run["error"]["code"] == "EXECUTOR_LOST"


async def test_steps_that_are_open_when_the_process_ends_are_failed(
    workspace: Workspace, reader: Reader
) -> None:
    await workspace.run_source(
        """
        import threading
        from rungraph import track
        begun = threading.Event()
        @track
        def forever():
            begun.set()
            threading.Event().wait()
        @track
        def main():
            threading.Thread(target=forever, daemon=True).start()
            begun.wait()
        main()
        """
    )
    run = await reader.run()
    assert run["phase"] == "SUCCEEDED"
    forever = run["actions"].named("forever")
    assert (forever["phase"], forever["error"]["code"]) == ("FAILED", "PROCESS_ENDED")
