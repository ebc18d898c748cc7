"""Following runs: responses in parts, restarted streams, lost connections, cancellation, many at once."""

import asyncio
import threading
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest
from rungraph import Action, AsyncClient, Change, Client
from rungraph.reading import documents
from rungraph.reading.protocol import EventParser, ResponseParser
from rungraph.reading.streams import ActionStream

from tests.client.both import Writer
from tests.client.conftest import SECONDS, ServerStarter
from tests.support.proxy import proxied


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_responses_and_events_are_parsed_however_they_arrive(size: int) -> None:
    chunked = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5;x=y\r\nevent\r\n10\r\n: next\ndata: {}\n\n\r\n8\r\n: ping\n\n\r\n0\r\nTrailer: x\r\n\r\n"
    )
    parser, events = ResponseParser(), EventParser()
    found: list[tuple[str, str]] = []
    for first in range(0, len(chunked), size):
        found += events.feed(parser.feed(chunked[first : first + size]))
    assert parser.is_complete
    assert parser.may_be_reused
    assert found == [("next", "{}")]
    until_closed = ResponseParser()
    assert until_closed.feed(b"HTTP/1.0 200 OK\r\n\r\nab") + until_closed.feed(b"c") == b"abc"
    states = [until_closed.is_complete]
    until_closed.feed(b"")
    states += [until_closed.is_complete, until_closed.may_be_reused]
    assert states == [False, True, False]


def test_a_restarted_stream_yields_what_differs(client: Any, writer: Writer) -> None:
    """After RESYNC, of a database that was restored from an older copy."""
    writer.report("main", phase="RUNNING")
    for name in ("load", "save"):
        writer.report(name, "main", phase="RUNNING")
    run = {"project": writer.run["project"], "domain": "development", "name": "nightly"}
    actions = client.execute(documents.ACTIONS, {"run": run, "first": 3})["run"]["actions"]
    main, load, save = actions["nodes"]
    stream = ActionStream({})

    def frame(kind: str, *values: dict[str, Any], removed: tuple[str, ...] = ()) -> dict[str, Any]:
        return {"actions": {"kind": kind, "cursor": kind, "removed": list(removed), "actions": list(values)}}

    def fed(kind: str, *values: dict[str, Any], removed: tuple[str, ...] = ()) -> list[Any]:
        changes = stream.feed(frame(kind, *values, removed=removed))
        return [(each.action.name, each.previous is None, each.is_removed) for each in changes]

    assert fed("SNAPSHOT", main, load) == [("main", True, False), ("load", True, False)]
    assert fed("SYNCED") == []
    newer = {**load, "revision": load["revision"] + 2, "phase": "PAUSED"}
    assert fed("CHANGE", save, newer) == [("save", True, False), ("load", False, False)]
    assert fed("CHANGE", load) == []  # older
    assert fed("CHANGE", newer) == []  # the same
    assert fed("RESYNC") == []
    assert fed("SNAPSHOT", main, load) == [("load", False, False)]
    assert fed("SYNCED") == [("save", False, True)]
    assert fed("CHANGE", removed=(load["id"],)) == [("load", False, True)]
    assert stream.variables["after"] == "CHANGE"


class Followed:
    """The changes of a run, and whether they continue one another."""

    def __init__(self) -> None:
        self.actions: dict[str, Action] = {}
        self.count = 0

    def note(self, change: Change) -> None:
        assert not change.is_removed
        assert change.previous == self.actions.get(change.action.name)
        assert change.action != change.previous
        if change.previous is not None:
            assert change.action.revision >= change.previous.revision
        self.actions[change.action.name] = change.action
        self.count += 1


@pytest.mark.parametrize("kind", [Client, AsyncClient])
async def test_a_run_is_followed_exactly_across_lost_connections(
    start_server: ServerStarter, kind: type[Client] | type[AsyncClient]
) -> None:
    followed = Followed()
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def note(change: Change) -> None:
        followed.note(change)
        loop.call_soon_threadsafe(seen.set)

    def follow_in_thread(client: Client) -> None:
        for change in client.watch("nightly"):
            note(change)

    async def follow(url: str) -> None:
        if kind is Client:
            with Client(url, project="p") as client:
                await asyncio.to_thread(follow_in_thread, client)
        else:
            async with AsyncClient(url, project="p") as other:
                async for change in other.watch("nightly"):
                    note(change)

    async def until_followed(name: str) -> None:
        async with asyncio.timeout(SECONDS):
            while name not in followed.actions:
                seen.clear()
                await seen.wait()

    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(AsyncExitStack())
        server = await servers.enter_async_context(start_server())
        proxy = await stack.enter_async_context(proxied(server.address))
        writer = Writer(server.url, "p", "nightly")
        await asyncio.to_thread(writer.report, "main", phase="RUNNING")
        following = asyncio.create_task(follow(f"http://127.0.0.1:{proxy.port}"))
        await until_followed("main")
        for number in range(4):
            await asyncio.to_thread(writer.report, f"before-{number}", "main", phase="RUNNING")
            proxy.cut()
            await asyncio.to_thread(writer.report, f"during-{number}", "main", phase="SUCCEEDED")
            await until_followed(f"during-{number}")
        server.process.kill()
        await server.process.wait()
        await servers.enter_async_context(start_server())
        for number in range(4):
            await asyncio.to_thread(writer.report, f"before-{number}", phase="FAILED")
        await asyncio.to_thread(writer.report, "main", phase="SUCCEEDED")
        await asyncio.wait_for(following, SECONDS)
        with Client(server.url, project="p") as reader:
            stored = {each.name: each for each in await asyncio.to_thread(list, reader.actions("nightly"))}
    assert followed.actions == stored
    assert len(stored) == 9
    assert followed.count <= 9 + 5  # no action more often than it changed


async def test_many_runs_are_followed_without_threads_and_cancelled(url: str, project: str) -> None:
    writer = Writer(url, project, "nightly")
    await asyncio.to_thread(writer.report, "main", phase="RUNNING")
    before = threading.active_count()
    async with AsyncClient(url, project=project) as client:
        arrived = [asyncio.Event() for _ in range(50)]

        async def follow(number: int) -> None:
            async with aclosing(client.watch("nightly")) as changes:
                async for _ in changes:
                    arrived[number].set()

        tasks = [asyncio.create_task(follow(number)) for number in range(50)]
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in arrived)), SECONDS)
        assert threading.active_count() < before + 25  # the server has some, too
        for task in tasks[:25]:
            task.cancel()
        done, _ = await asyncio.wait(tasks[:25], timeout=SECONDS)
        assert [each.cancelled() for each in done] == [True] * 25
        await asyncio.to_thread(writer.report, "main", phase="SUCCEEDED")
        await asyncio.wait_for(asyncio.gather(*tasks[25:]), SECONDS)
        waiting = asyncio.create_task(client.wait("nightly"))
        assert (await asyncio.wait_for(waiting, SECONDS)).phase.is_success
