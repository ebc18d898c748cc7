"""The server is unavailable, silent, or killed and restarted: the script goes on, and nothing is lost."""

import asyncio
import json
import os
import re
import signal
from contextlib import AsyncExitStack
from datetime import datetime

import pytest

from tests.client.conftest import PYTHON, SECONDS, Reader, ServerStarter, Workspace

STEPS = """
import logging, sys, time
from rungraph import track

@track
def step(n):
    logging.getLogger("x").error("line %d", n)
    return n

@track
def main():
    for n in range(int(sys.argv[1])):
        step(n)
        if len(sys.argv) > 2 and n == 10:
            print("begun", flush=True)
            sys.stdin.readline()

logging.basicConfig(handlers=[logging.NullHandler()])
began = time.time()
main()
print(began, time.time())
"""
PUSH = ("-m", "rungraph", "push")


async def times_and_logs_are_those_of_the_script(reader: Reader, stdout: str, count: int) -> None:
    run = await reader.run()
    assert (run["phase"], len(run["actions"])) == ("SUCCEEDED", count + 1)
    assert {each["phase"] for each in run["actions"]} == {"SUCCEEDED"}
    assert [each["attemptHistory"][0]["logSummary"] for each in run["actions"] if each["parentName"]] == [
        {"lineCount": 1}
    ] * count
    began, ended = (float(each) for each in stdout.split()[-2:])
    first, last = (datetime.fromisoformat(run[each]).timestamp() for each in ("startedAt", "endedAt"))
    assert began - 0.001 <= first <= last <= ended + 0.001
    lasts = await reader.lines(run["name"], f"step-{count}")
    assert lasts == [("logging", "ERROR", f"line {count - 1}")]


async def test_what_was_recorded_without_a_server_is_sent_later(
    workspace: Workspace, start_server: ServerStarter
) -> None:
    workspace.write(STEPS)
    done = await workspace.run("script.py", "100")
    assert done.code == 0
    assert len(workspace.spooled()) == 1
    failed = await workspace.run(*PUSH)
    assert failed.code == 1
    assert "unreachable" in failed.stderr
    async with start_server() as server:
        pushed = await workspace.run(*PUSH)
        assert (pushed.code, pushed.stderr) == (0, "")
        assert not workspace.spooled()
        await times_and_logs_are_those_of_the_script(Reader(server, workspace), done.stdout, 100)


async def test_the_next_run_sends_what_is_left_of_others(
    workspace: Workspace, start_server: ServerStarter
) -> None:
    workspace.write(STEPS)
    first = await workspace.run("script.py", "20")
    (path,) = workspace.spooled()
    with path.open("ab") as file:
        file.write(b'report\t{"id"')  # killed while it wrote
    async with start_server() as server:
        second = await workspace.run("script.py", "5")
        assert (first.code, second.code, second.stderr) == (0, 0, "")
        await workspace.push()
        runs = await Reader(server, workspace).runs()
        assert sorted(len(each["actions"]) for each in runs) == [6, 21]
        assert not workspace.spooled()


async def test_a_silent_server_delays_nothing(workspace: Workspace, start_server: ServerStarter) -> None:
    """It accepts connections and never responds."""
    workspace.write(STEPS)
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.read()
        writer.close()

    port = int(workspace.environment["RUNGRAPH_URL"].rpartition(":")[2])
    async with await asyncio.start_server(accept, "127.0.0.1", port):
        done = await workspace.run("script.py", "1000")
        assert accepted.is_set()
    assert done.code == 0
    assert len(workspace.spooled()) == 1
    async with start_server() as server:
        assert (await workspace.run(*PUSH)).code == 0
        query = (
            "query ($p: String!) { runs(filter: {project: $p}) { nodes { phase phaseCounts { count } } } }"
        )
        data = await Reader(server, workspace).ask(query, p=workspace.project)
        assert data["runs"]["nodes"] == [{"phase": "SUCCEEDED", "phaseCounts": [{"count": 1001}]}]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_server_that_is_killed_and_comes_back_gets_everything(
    workspace: Workspace, start_server: ServerStarter, number: int
) -> None:
    workspace.write(STEPS)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(start_server())
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "script.py", "150", "wait"),
            cwd=workspace.folder,
            env=workspace.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), SECONDS) == b"begun\n"
        await Reader(server, workspace).until(lambda runs: runs and len(runs[0]["actions"]) > 5)
        server.process.send_signal(number)
        process.stdin.write(b"go on\n")
        if number == signal.SIGKILL:
            await server.process.wait()
            server = await stack.enter_async_context(start_server())
            stdout = await process.stdout.read()
        else:
            stdout = await asyncio.wait_for(process.stdout.read(), SECONDS)
            server.process.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
        reader = Reader(server, workspace)
        await times_and_logs_are_those_of_the_script(reader, stdout.decode(), 150)


async def test_a_refusal_is_logged_once_and_all_else_is_stored(workspace: Workspace, reader: Reader) -> None:
    workspace.write(
        """
        from rungraph import current_step, track
        @track
        def main():
            for n in range(70):
                current_step().metric(f"metric {n}", n)
            for n in range(3):
                with track("step"): pass
        main()
        """
    )
    done = await workspace.run("script.py")
    assert done.code == 0
    assert done.stderr.count("a report was refused") == 1
    await workspace.push()
    (run,) = await reader.runs()
    assert sorted(each["name"] for each in run["actions"]) == ["main", "step", "step-2", "step-3"]


async def test_a_refusal_that_differs_in_numbers_only_is_logged_once(
    workspace: Workspace, reader: Reader
) -> None:
    """Such as for each step, after the clock was set to another year."""
    workspace.write(
        """
        import time
        now = time.time
        time.time = lambda: now() + 400 * 86400
        from rungraph import flush, track
        @track
        def step(): pass
        @track
        def main():
            for _ in range(3):
                step()
                flush()
        main()
        """
    )
    done = await workspace.run("script.py")
    assert done.code == 0
    assert done.stderr.count("is more than a day ahead") == 1


@pytest.mark.parametrize("token", ["two\nlines", "no token →"])
async def test_what_a_wrong_token_kept_from_the_server_is_sent_later(
    workspace: Workspace, reader: Reader, token: str
) -> None:
    workspace.write(STEPS)
    done = await workspace.run("script.py", "3", RUNGRAPH_TOKEN=token)
    assert done.code == 0
    assert len(workspace.spooled()) == 1
    assert len((await reader.run())["actions"]) == 4


async def test_messages_have_no_password_and_an_address_needs_no_scheme(
    workspace: Workspace, start_server: ServerStarter
) -> None:
    place = workspace.environment["RUNGRAPH_URL"].removeprefix("http://")
    workspace.write(STEPS.replace("logging.basicConfig", "#"))
    done = await workspace.run("script.py", "3", RUNGRAPH_URL=f"http://user:secret@{place}")
    assert f"http://{place} is unreachable" in done.stderr
    assert "secret" not in done.stderr
    async with start_server() as server:
        assert (await workspace.run("script.py", "3", RUNGRAPH_URL=place)).stderr.count("rungraph") == 0
        (run,) = await Reader(server, workspace).runs()
        assert run["phase"] == "SUCCEEDED"


async def test_push_says_what_it_sent_or_cannot_read(workspace: Workspace, reader: Reader) -> None:
    workspace.write(STEPS)
    await workspace.run("script.py", "3", RUNGRAPH_URL="http://127.0.0.1:1")
    sent = await workspace.run(*PUSH, "--json")
    url = f"{workspace.environment['RUNGRAPH_URL']}/graphql"
    assert (sent.code, json.loads(sent.stdout)) == (0, {"sent": 0, "url": url, "refused": []})
    assert (await workspace.run(*PUSH)).stderr == "1 file is for other addresses: set RUNGRAPH_URL\n"
    wrong = await workspace.run(*PUSH, RUNGRAPH_SPOOL="script.py")
    assert wrong.code == 1
    assert re.fullmatch(r"cannot read script.py/\w+: Not a directory\n", wrong.stderr)


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"200 OK\r\nContent-Length: 5", "is no Rungraph server (HTTP 200)"),
        (b"200 OK\r\nContent-Length: 50", "is unreachable (IncompleteRead(5 bytes read, 45 more expected))"),
        (
            b"301 Moved\r\nLocation: https://b/\r\nContent-Length: 5",
            "redirects to https://b/: set RUNGRAPH_URL",
        ),
    ],
)
async def test_a_page_of_another_server_is_no_answer(workspace: Workspace, head: bytes, problem: str) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    workspace.write(STEPS.replace("logging.basicConfig", "#"))
    port = int(workspace.environment["RUNGRAPH_URL"].rpartition(":")[2])
    async with await asyncio.start_server(respond, "127.0.0.1", port):
        done = await workspace.run("script.py", "3")
    assert done.code == 0
    assert problem in done.stderr
    assert len(workspace.spooled()) == 1


async def test_many_runs_that_begin_at_once_have_names_of_their_own(workspace: Workspace) -> None:
    workspace.write(
        """
        from rungraph import track
        @track(run=True)
        def job(): pass
        for n in range(2000): job()
        """
    )
    assert (await workspace.run("script.py")).code == 0
    (path,) = workspace.spooled()
    assert len(set(re.findall(rb"job-[0-9]{8}-[0-9]{6}-[0-9a-f]+", path.read_bytes()))) == 2000


async def test_a_full_or_unwritable_disk_stops_nothing(workspace: Workspace) -> None:
    workspace.write(STEPS)
    full = await workspace.run("script.py", "500", RUNGRAPH_SPOOL_BYTES="10000")
    assert full.code == 0
    assert all(path.stat().st_size <= 10_000 for path in workspace.spooled())
    workspace.write(STEPS.replace("logging.basicConfig", "#"))
    unwritable = await workspace.run("script.py", "500", RUNGRAPH_SPOOL=os.devnull)
    assert unwritable.code == 0
    assert "reports are lost" in unwritable.stderr
    assert "reports are kept" not in unwritable.stderr
