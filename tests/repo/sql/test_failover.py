"""Failovers and restores that lose commits: streams restart and then miss nothing."""

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import make_url

from repo import (
    ActionRepo,
    DatabaseUnavailable,
    Frame,
    FrameKind,
    RunIdentifier,
    mark_restored,
    migrate,
    open_repository,
)
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
    new,
)
from tests.support.postgres import Postgres, running_postgres
from tests.support.proxy import Proxy, proxied

SECONDS = 60
LOST = 20
"""Transactions that the failover loses after a replica has read them."""
AFTERWARDS = 3 * LOST
"""New transactions before the late replica reads again, so that all ids it has read are reused."""
LOST_RUN = RunIdentifier(RUN.project, RUN.domain, "lost")
KINDS = ("runs", "actions", "events", "states")


@dataclass
class Viewer:
    """A subscriber and what it has received since the last RESYNC."""

    kind: str
    frames: list[Frame[Any]] = field(default_factory=list)
    held: dict[Any, Any] = field(default_factory=dict)
    times: Counter[Any] = field(default_factory=Counter)
    """How often each item arrived."""
    resyncs: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def stream(self, repository: ActionRepo, after: str | None = None) -> AsyncGenerator[Frame[Any], None]:
        match self.kind:
            case "runs":
                return repository.watch_all_run_updates(after=after)
            case "actions":
                return repository.watch_all_action_updates(RUN, after=after)
            case "events":
                return repository.watches.watch_events(RUN, after=after)
        return repository.watch_state_updates(after=after)

    async def watch(self, repository: ActionRepo) -> None:
        async with aclosing(self.stream(repository)) as frames:
            async for frame in frames:
                self.take(frame)
                self.came.set()

    def take(self, frame: Frame[Any]) -> None:
        self.frames.append(frame)
        if frame.kind is FrameKind.RESYNC:
            self.resyncs += 1
            self.held, self.times = {}, Counter()
        for item in frame.items:
            key = self.key(item)
            old = self.held.get(key)
            assert old is None or self.kind in ("events", "states") or item.revision >= old.revision
            self.held[key] = item
            self.times[key] += 1
        for item in frame.removed:
            self.held.pop(self.key(item), None)

    def key(self, item: Any) -> Any:
        if self.kind == "events":
            return item.action.name, item.version
        return item.name

    async def until(self, condition: "Callable[[Viewer], bool]") -> None:
        async with asyncio.timeout(SECONDS):
            while not condition(self):
                self.came.clear()
                await self.came.wait()

    async def holds(self, keys: set[Any]) -> None:
        """Waits until it has at least these."""
        await self.until(lambda viewer: keys <= set(viewer.held))

    @property
    def cursor(self) -> str:
        return self.frames[-1].cursor


@dataclass
class Replica:
    """A replica and its subscribers."""

    repository: ActionRepo
    proxy: Proxy
    viewers: dict[str, Viewer]

    def holds_once(self, kind: str, keys: set[Any]) -> bool:
        """Whether the viewer has exactly these, each once."""
        return self.viewers[kind].times == dict.fromkeys(keys, 1)


@asynccontextmanager
async def replica(server: Postgres) -> AsyncIterator[Replica]:
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(proxied(server.url))
        repository = await stack.enter_async_context(open_repository(proxy.url(server.url)))
        viewers = {kind: Viewer(kind) for kind in KINDS}
        watching = [asyncio.create_task(viewer.watch(repository)) for viewer in viewers.values()]
        for viewer in viewers.values():
            await viewer.until(lambda viewer: any(each.kind is FrameKind.SYNCED for each in viewer.frames))
        try:
            yield Replica(repository, proxy, viewers)
        finally:
            for task in watching:
                task.cancel()
            for ended in await asyncio.gather(*watching, return_exceptions=True):
                assert not isinstance(ended, Exception), ended


@pytest.fixture
def primary() -> Iterator[Postgres]:
    with running_postgres(is_migrated=True) as server:
        yield server


@pytest.fixture
def empty_primary() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def standby(primary: Postgres) -> Iterator[Postgres]:
    with running_postgres(standby_of=primary) as server:
        yield server


async def write(repository: ActionRepo, start: int, count: int) -> set[tuple[str, int]]:
    """Writes transactions with an event and a state each; returns the keys of the events."""
    for number in range(start, start + count):
        # Connections that were idle during a failover are lost.
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(DatabaseUnavailable):
                    await repository.insert_events([event("b", version=number)])
                    break
                await asyncio.sleep(0.05)
    await repository.update_action_state(action("b"), f"after {start}")
    return {("b", number) for number in range(start, start + count)}


async def write_what_is_lost(one: Replica, two: Replica) -> None:
    """Waits until both replicas have read everything."""
    await one.repository.actions.create([new("lost", "a0")])
    await make_run(one.repository, LOST_RUN)
    lost = await write(one.repository, 1_000, LOST)
    for each in (one, two):
        await each.viewers["events"].holds(lost)
        await each.viewers["actions"].holds({"lost"})
        await each.viewers["runs"].holds({"lost"})


async def check_that_all_restarted(each: Replica, kept: set[Any], cursors: dict[str, str]) -> None:
    viewers = each.viewers
    for viewer in viewers.values():
        await viewer.until(lambda viewer: viewer.resyncs > 0)
    await viewers["events"].holds(kept)
    assert each.holds_once("events", kept)
    await viewers["actions"].until(lambda viewer: set(viewer.held) == {"a0", "b"})
    await viewers["runs"].until(lambda viewer: set(viewer.held) == {RUN.name})
    for kind, cursor in cursors.items():
        async with aclosing(viewers[kind].stream(each.repository, cursor)) as again:
            assert (await anext(again)).kind is FrameKind.RESYNC


async def use(server: Postgres, transactions: int = 0) -> None:
    """Advances the WAL beyond everything that was read, by this many transactions that no replica sees."""
    connection = await asyncpg.connect(server.url)
    for _ in range(transactions):
        await connection.execute("SELECT pg_current_xact_id()")
    await connection.execute("SELECT pg_switch_wal()")
    await connection.close()


async def restart(server: Postgres) -> None:
    """Restarts it in order, after which it no longer knows the end of its recovery."""
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)


@pytest.mark.parametrize("unseen", ["nothing", "a restart", "another failover"])
async def test_all_streams_restart_after_a_failover_that_loses_commits(
    primary: Postgres, standby: Postgres, unseen: str
) -> None:
    async with open_repository(primary.url) as repository:
        await make_run(repository, b="a0")
    async with AsyncExitStack() as servers, replica(primary) as one, replica(primary) as two:
        kept = await write(one.repository, 0, 5)
        await asyncio.to_thread(standby.catch_up, primary)
        await asyncio.to_thread(standby.stop_receiving)
        await write_what_is_lost(one, two)
        cursors = {kind: viewer.cursor for kind, viewer in two.viewers.items()}
        two.proxy.hold()
        await asyncio.to_thread(primary.stop, True)
        await asyncio.to_thread(standby.promote)
        server = standby
        if unseen != "nothing":
            one.proxy.hold()
            await use(standby, transactions=AFTERWARDS)
        if unseen == "a restart":
            await restart(standby)
        elif unseen == "another failover":
            server = servers.enter_context(running_postgres(standby_of=standby))
            await asyncio.to_thread(standby.stop)
            await asyncio.to_thread(server.promote)
        one.proxy.forward(server.url)
        kept |= await write(one.repository, 0, AFTERWARDS)
        two.proxy.forward(server.url)
        for each in (one, two):
            await check_that_all_restarted(each, kept, cursors)


async def test_streams_continue_after_a_switchover_without_loss(primary: Postgres, standby: Postgres) -> None:
    async with open_repository(primary.url) as repository:
        await make_run(repository, b="a0")
    async with replica(primary) as one, replica(primary) as two:
        kept = await write(one.repository, 0, LOST)
        for each in (one, two):
            await each.viewers["events"].holds(kept)
        cursor = two.viewers["events"].cursor
        two.proxy.refuse()
        await asyncio.to_thread(primary.stop)
        await asyncio.to_thread(standby.promote)
        one.proxy.forward(standby.url)
        added = await write(one.repository, LOST, AFTERWARDS)
        two.proxy.forward(standby.url)
        for each in (one, two):
            await each.viewers["events"].holds(added)
            assert each.holds_once("events", kept | added)
            assert [viewer.resyncs for viewer in each.viewers.values()] == [0] * len(KINDS)
        again = Viewer("events")
        async with aclosing(again.stream(two.repository, cursor)) as frames:
            while set(again.held) != added:
                again.take(await anext(frames))
                assert again.frames[-1].kind is FrameKind.CHANGE
        assert again.times == dict.fromkeys(added, 1)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("how", ["copied while stopped", "backed up while running"])
async def test_all_streams_restart_on_an_older_copy_of_the_data(
    primary: Postgres, how: str, restarted: bool
) -> None:
    async with open_repository(primary.url) as repository:
        await make_run(repository, b="a0")
        kept = await write(repository, 0, 5)
    if how == "copied while stopped":
        primary.stop()
        copy = primary.copy()
        primary.start()
    else:
        copy = primary.back_up()
    async with replica(primary) as one, replica(primary) as two:
        await write_what_is_lost(one, two)
        cursors = {kind: viewer.cursor for kind, viewer in two.viewers.items()}
        for each in (one, two):
            each.proxy.hold()
        await asyncio.to_thread(primary.stop)
        primary.replace_data(copy)
        await asyncio.to_thread(primary.start)
        if restarted:
            await use(primary)
            await restart(primary)
        one.proxy.forward(primary.url)
        kept |= await write(one.repository, 0, AFTERWARDS)
        two.proxy.forward(primary.url)
        for each in (one, two):
            await check_that_all_restarted(each, kept, cursors)


async def test_each_event_arrives_once_after_a_crash_recovery(primary: Postgres) -> None:
    """PostgreSQL then recovers without a restart."""
    async with open_repository(primary.url) as repository:
        await make_run(repository, b="a0")
    async with replica(primary) as one:
        kept = await write(one.repository, 0, LOST)
        connection = await asyncpg.connect(primary.url)
        os.kill(connection.get_server_pid(), signal.SIGKILL)
        kept |= await write(one.repository, LOST, LOST)
        await one.viewers["events"].holds(kept)
        assert one.holds_once("events", kept)
        connection.terminate()


async def test_all_streams_restart_if_the_control_file_cannot_be_read(
    empty_primary: Postgres,
) -> None:
    admin = await asyncpg.connect(empty_primary.url)
    await admin.execute(
        "CREATE ROLE guest LOGIN; GRANT ALL ON SCHEMA public TO guest;"
        "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() FROM PUBLIC"
    )
    await admin.close()
    url = make_url(empty_primary.url).set(username="guest").render_as_string(hide_password=False)
    await migrate(url)
    async with open_repository(url) as repository:
        await make_run(repository, b="a0")
        viewer = Viewer("events")
        watching = asyncio.create_task(viewer.watch(repository))
        await viewer.until(lambda viewer: len(viewer.frames) > 0)
        await asyncio.to_thread(empty_primary.stop)
        await asyncio.to_thread(empty_primary.start)
        kept = await write(repository, 0, LOST)
        await viewer.until(lambda viewer: set(viewer.held) == kept and viewer.resyncs == 1)
        assert viewer.times == dict.fromkeys(kept, 1)
        watching.cancel()


async def check_that_a_stream_continues(repository: ActionRepo, viewer: Viewer) -> None:
    """After the RESYNC, when nothing is lost again."""
    restart = next(each.cursor for each in viewer.frames if each.kind is FrameKind.RESYNC)
    await repository.notify_state_update(action("a0"))
    await repository.insert_events([event("a0", version=KINDS.index(viewer.kind))])
    async with aclosing(viewer.stream(repository, restart)) as again:
        assert (await anext(again)).kind is FrameKind.CHANGE


async def test_all_streams_restart_after_mark_restored(database_url: str) -> None:
    async with open_repository(database_url) as repository:
        await make_run(repository, b="a0")
        viewers = [Viewer(kind) for kind in KINDS]
        watching = [asyncio.create_task(viewer.watch(repository)) for viewer in viewers]
        for viewer in viewers:
            await viewer.until(lambda viewer: len(viewer.frames) > 0)
        cursors = [viewer.cursor for viewer in viewers]
        await mark_restored(database_url)
        for viewer, cursor in zip(viewers, cursors, strict=True):
            await viewer.until(lambda viewer: viewer.resyncs == 1)
            await check_that_a_stream_continues(repository, viewer)
            async with aclosing(viewer.stream(repository, cursor)) as again:
                assert (await anext(again)).kind is FrameKind.RESYNC
        for task in watching:
            task.cancel()


async def test_all_streams_restart_when_a_served_file_is_replaced(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'rungraph.db'}"
    await migrate(url)
    async with open_repository(url) as repository:
        await make_run(repository, b="a0")
        kept = await write(repository, 0, 5)
        with closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
            with closing(sqlite3.connect(tmp_path / "rungraph.db")) as source:
                source.backup(copy)
            viewer = Viewer("events")
            watching = asyncio.create_task(viewer.watch(repository))
            lost = await write(repository, 1_000, LOST)
            await viewer.holds(lost)
            with closing(sqlite3.connect(tmp_path / "rungraph.db")) as target:
                copy.backup(target)
        await viewer.until(lambda viewer: set(viewer.held) == kept)
        assert viewer.resyncs == 1
        watching.cancel()
