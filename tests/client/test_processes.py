"""Threads, tasks and child processes belong to the tree of the script."""

import pytest

from tests.client.conftest import Reader, Workspace

SCRIPT = """
import asyncio, multiprocessing, subprocess, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from rungraph import track

@track
def work(n):
    leaf(n)
    return n

@track
def leaf(n): pass

@track
async def fetch(n):
    await asyncio.sleep(0)
    return work(n)

NUMBERS = range(6)

def threads():
    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(work, NUMBERS))

def tasks():
    async def all_of_them():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(asyncio.to_thread(work, n) for n in NUMBERS))
    return asyncio.run(all_of_them())

def executor(method):
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context(method)) as pool:
        return list(pool.map(work, NUMBERS))

def pool(method):
    with multiprocessing.get_context(method).Pool(3) as pool:
        return pool.map(work, NUMBERS)

def subprocesses():
    children = [subprocess.Popen([sys.executable, __file__, str(n)]) for n in NUMBERS]
    return [child.wait() or n for child, n in zip(children, NUMBERS)]

WAYS = {"threads": threads, "tasks": tasks, "subprocess": subprocesses,
        **{f"executor-{m}": (lambda m=m: executor(m)) for m in ("fork", "spawn")},
        **{f"pool-{m}": (lambda m=m: pool(m)) for m in ("fork", "spawn")}}

@track
def main(how):
    assert WAYS[how]() == list(NUMBERS)

if __name__ == "__main__":
    if sys.argv[1].isdigit():
        work(int(sys.argv[1]))
    else:
        main(sys.argv[1])
"""
KINDS = ["threads", "tasks", "executor-fork", "executor-spawn", "pool-fork", "pool-spawn", "subprocess"]


@pytest.mark.parametrize("kind", KINDS)
async def test_threads_tasks_and_processes_give_the_same_tree(
    workspace: Workspace, reader: Reader, kind: str
) -> None:
    workspace.write(SCRIPT)
    done = await workspace.run("script.py", kind)
    assert (done.code, done.stderr) == (0, "")
    run = await reader.run()
    assert run["actions"].tree() == sorted(
        [("main", "", 1)] + [("work", "main", 1)] * 6 + [("leaf", "work", 1)] * 6
    )
    assert {each["phase"] for each in run["actions"]} == {"SUCCEEDED"}
    assert not any(each["isPlaceholder"] for each in run["actions"])
    parents = [each["parentName"] for each in run["actions"] if each["functionName"].endswith(".leaf")]
    assert len(set(parents)) == 6


async def test_a_step_is_the_parent_of_the_subprocess_that_it_starts(
    workspace: Workspace, reader: Reader
) -> None:
    workspace.write("from rungraph import track\nwith track('child'): pass", "child.py")
    await workspace.run_source(
        """
        import os, subprocess, sys
        from rungraph import track
        @track
        def main():
            with track("step"):
                subprocess.run([sys.executable, "child.py"], check=True, env={**os.environ, "X": "y"})
            subprocess.run([sys.executable, "child.py"], check=True)
        main()
        """
    )
    run = await reader.run()
    parents = sorted(str(each["parentName"]) for each in run["actions"])
    assert parents == ["None", "main", "main", "step"]


async def test_the_parent_goes_on_after_a_fork_inside_of_a_step(workspace: Workspace, reader: Reader) -> None:
    await workspace.run_source(
        """
        import os, signal
        from rungraph import track
        @track
        def main():
            with track("step"):
                if not (child := os.fork()):
                    with track("in child"):
                        pass
                    # Pools terminate their workers: see rungraph.endings.
                    os._exit(int(signal.getsignal(signal.SIGTERM) != signal.SIG_DFL))
                assert os.waitpid(child, 0)[1] == 0
        main()
        """
    )
    run = await reader.run()
    phases = {each["name"].split("-")[0]: (each["parentName"], each["phase"]) for each in run["actions"]}
    assert phases == {
        "main": (None, "SUCCEEDED"),
        "step": ("main", "SUCCEEDED"),
        "in child": ("step", "SUCCEEDED"),
    }


POOLS = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from rungraph import track

@track
def leaf(n): pass

@track
def main():
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=fork) as executor, fork.Pool(1) as pool:
        for name in ("first", "second"):
            with track(name):
                executor.submit(leaf, 1).result()
                pool.apply(leaf, (2,))
    with track("alone"):
        child = fork.Process(target=leaf, args=(3,))
        child.start()
        child.join()
main()
"""


async def test_steps_of_pool_workers_are_below_the_run(workspace: Workspace, reader: Reader) -> None:
    """Not below the step that happened to start the worker."""
    await workspace.run_source(POOLS)
    run = await reader.run()
    names = {each["name"]: each["parentName"] for each in run["actions"] if "leaf" in each["name"]}
    assert sorted(names.values()) == ["alone", "main", "main", "main", "main"]


RETRIED = """
import multiprocessing, pathlib, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from rungraph import track

@track
def flaky(name, value=()):
    inner()
    marks = pathlib.Path(name)
    marks.write_text(marks.read_text() + "x" if marks.exists() else "x")
    if len(marks.read_text()) < 3:
        raise OSError(name)

@track
def inner(): pass

@track(retry=True)
def anything(value):
    raise OSError

def in_new_process(method, function, *args):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
        try:
            pool.submit(function, *args).result()
        except OSError:
            pass

@track
def main():
    for _ in range(3):
        in_new_process("fork", flaky, "forked")
        in_new_process("spawn", flaky, "spawned", (1, "a"))
        subprocess.run([sys.executable, __file__, "child"], stderr=subprocess.DEVNULL)
        in_new_process("fork", flaky, "listed", [1])
    for number in range(2):
        in_new_process("spawn", anything, [number])
    in_new_process("fork", flaky, "forked")

if __name__ == "__main__":
    if len(sys.argv) > 1:
        flaky("child")
    else:
        main()
"""


async def test_a_retry_in_another_process_is_the_next_attempt(workspace: Workspace, reader: Reader) -> None:
    await workspace.run_source(RETRIED)
    run = await reader.run()
    assert run["actions"].tree() == sorted(
        [("main", "", 1), ("anything", "main", 2)]
        + [("flaky", "main", 3)] * 3  # forked, spawned, child
        + [("flaky", "main", 1)] * 3  # lists are never the same in another process
        + [("flaky", "main", 1)]  # after a success
        + [("inner", "flaky", 1)] * 13
    )
    assert sorted(each["phase"] for each in run["actions"] if each["phase"] != "SUCCEEDED") == ["FAILED"] * 3
    assert not list((workspace.spool).rglob("retries/*/*"))


KILLED = """
import os, pathlib, signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from rungraph import track

@track
def work(name):
    mark = pathlib.Path(name)
    if not mark.exists():
        mark.touch()
        with track("inner"):
            os.kill(os.getpid(), signal.SIGKILL)

@track
def main():
    for name in ("once", "once", "never again"):
        try:
            with ProcessPoolExecutor(1) as pool:
                pool.submit(work, name).result()
        except BrokenProcessPool:
            print("killed")
main()
"""


async def test_steps_of_a_killed_process_fail_and_a_repeated_call_is_the_next_attempt(
    workspace: Workspace, reader: Reader
) -> None:
    done = await workspace.run_source(KILLED)
    assert done.stdout == "killed\n" * 2
    run = await reader.run()
    assert run["phase"] == "SUCCEEDED"
    states = sorted(
        (each["name"].partition("-")[0], each["phase"], each["attempts"]) for each in run["actions"]
    )
    assert states == [
        ("inner", "FAILED", 1),
        ("inner", "FAILED", 1),
        ("main", "SUCCEEDED", 1),
        ("work", "FAILED", 1),
        ("work", "SUCCEEDED", 2),
    ]
    errors = [each["attemptHistory"][0]["error"] for each in run["actions"] if each["parentName"]]
    assert {each["code"] for each in errors} == {"PROCESS_ENDED"}
    assert not list(workspace.spool.rglob("retries/*/*"))


FORKED = """
import os, sys, threading, warnings
from rungraph import flush, track

@track
def main():
    flush()  # the sender runs
    if sys.argv[1:]:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    for _ in range(2):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)

main()
"""


async def test_a_fork_warns_of_threads_of_the_script_only(workspace: Workspace, reader: Reader) -> None:
    """Python 3.12 and later do."""
    assert (await workspace.run_source(FORKED)).stderr == ""
    warned = await workspace.run("script.py", "with a thread")
    assert warned.code == 0
    version = (await workspace.run("-c", "import sys; print(sys.version_info >= (3, 12))")).stdout
    assert ("is multi-threaded" in warned.stderr) == (version == "True\n")
