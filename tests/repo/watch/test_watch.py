"""Streams under writes: nothing is skipped, and nothing older follows something newer."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from repo import Action, ActionEvent, ActionPhase, ActionRepo, Frame, FrameKind, open_repository
from repo.sql.database import Database
from repo.tables import actions
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
    new,
)

SECONDS = 30
PHASES = [ActionPhase.QUEUED, ActionPhase.INITIALIZING, ActionPhase.RUNNING, ActionPhase.SUCCEEDED]


class Client:
    """A subscriber's view of a run's actions."""

    def __init__(self) -> None:
        self.held: dict[str, Action] = {}
        self.cursor: str | None = None

    async def read(self, stream: AsyncGenerator[Frame[Action], None], most: int = 10**9) -> None:
        async with aclosing(stream) as frames:
            async for frame in frames:
                self.cursor = frame.cursor
                if frame.kind is FrameKind.RESYNC:
                    self.held = {}
                for found in frame.items:
                    before = self.held.get(found.name)
                    assert before is None or before.revision <= found.revision, "older after newer"
                    self.held[found.name] = found
                most -= 1
                if most == 0:
                    return


async def write(repository: ActionRepo, writer: int) -> None:
    chance = random.Random(writer)
    for turn in range(6):
        name = f"w{writer}-{turn}"
        await repository.create_action(new(name, "a0"))
        for phase in PHASES[1:]:
            await asyncio.sleep(chance.random() / 100)
            await repository.update_action_phase(action(name), phase, 1)
    await asyncio.sleep(0)


async def test_a_stream_that_joins_under_heavy_writes_ends_with_the_stored_state(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    clients = [Client() for _ in range(8)]

    async def join_late(number: int, client: Client) -> None:
        await asyncio.sleep(number / 20)
        # Every second one leaves after a few frames and resumes after its last cursor.
        if number % 2:
            await client.read(repository.watch_all_action_updates(RUN, until_terminal=True), most=3 + number)
        await client.read(repository.watch_all_action_updates(RUN, after=client.cursor, until_terminal=True))

    async with asyncio.timeout(SECONDS):
        reading = [asyncio.create_task(join_late(i, client)) for i, client in enumerate(clients)]
        await asyncio.gather(*(write(repository, writer) for writer in range(8)))
        assert await repository.update_action_phase(action(), ActionPhase.SUCCEEDED, 1)
        await asyncio.gather(*reading)
    stored = {found.name: found for found in (await repository.list_actions(RUN)).items}
    assert len(stored) == 49
    for client in clients:
        assert client.held == stored


async def test_a_transaction_that_commits_late_is_not_skipped(
    database_url: str, repository: ActionRepo
) -> None:
    """It wrote before others that committed earlier and were already read."""
    await make_run(repository, late="a0", b="a0")
    database = Database(database_url)
    written, commit = asyncio.Event(), asyncio.Event()

    async def write_late(connection: AsyncConnection) -> None:
        key = action("late").key
        await connection.execute(actions.update().where(actions.c.key == key).values(group="late"))
        written.set()
        await commit.wait()

    client, comes_back = Client(), Client()
    async with asyncio.timeout(SECONDS):
        reading = asyncio.create_task(client.read(repository.watch_all_action_updates(RUN)))
        while "late" not in client.held:  # noqa: ASYNC110 - the stream is read elsewhere
            await asyncio.sleep(0.01)
        writing = asyncio.create_task(database.transact_on_connection(write_late))
        await written.wait()
        if not database.is_sqlite:  # which has one writer at a time
            await repository.update_action_phase(action("b"), ActionPhase.RUNNING, 1)
            while client.held["b"].phase is not ActionPhase.RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        cursor = client.cursor
        commit.set()
        await writing
        while client.held["late"].group != "late":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await comes_back.read(repository.watch_all_action_updates(RUN, after=cursor), most=1)
        assert comes_back.held["late"].group == "late"
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await database.close()


async def test_every_event_arrives_once_during_inserts(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    seen: list[ActionEvent] = []

    async def read() -> None:
        async with aclosing(repository.watches.watch_events(RUN)) as frames:
            async for frame in frames:
                seen.extend(frame.items)
                if len(seen) >= 400:
                    return

    async def insert(start: int) -> None:
        for version in range(start, start + 50):
            await repository.insert_events([event("b", version=version)])

    async with asyncio.timeout(SECONDS):
        writing = [asyncio.create_task(insert(start)) for start in range(0, 400, 50)]
        await asyncio.sleep(0.05)
        await asyncio.gather(read(), *writing)
    assert sorted(found.version for found in seen) == list(range(400))


@pytest.mark.parametrize("bus", ["postgresql", "away"])
async def test_a_write_on_one_replica_reaches_subscribers_of_another(
    postgres_server_url: str, database_url: str, bus: str
) -> None:
    """By a notification, even after its connection was cut; without a bus, by polling once a second."""
    url = postgres_server_url if bus == "postgresql" else "postgresql://nobody@127.0.0.1:1/none"
    async with (
        asyncio.timeout(SECONDS),
        open_repository(database_url, broadcast_url=url) as writer,
        open_repository(database_url, broadcast_url=url) as reader,
    ):
        await make_run(writer)
        async with aclosing(reader.watch_run_updates(RUN)) as updates:
            assert (await anext(updates)).phase is ActionPhase.QUEUED
            if bus == "postgresql":
                connection = await asyncpg.connect(postgres_server_url)
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'rungraph-bus'"
                )
                await connection.close()
                replicas = (writer, reader)
                while not all(each.watches.metrics().bus_connected for each in replicas):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await writer.update_action_phase(action(), ActionPhase.RUNNING, 1)
            assert (await anext(updates)).phase is ActionPhase.RUNNING
        assert reader.watches.metrics().bus_connected is (bus == "postgresql")


async def test_the_hub_can_be_closed_while_it_is_notified(database_url: str) -> None:
    async with asyncio.timeout(SECONDS):
        for turns in range(8):
            async with open_repository(database_url) as repository:
                async with aclosing(repository.watch_state_updates()) as updates:
                    await anext(updates)
                    await asyncio.sleep(0.05)  # the reader waits for a counter again
                    repository.watches.hub.notify()
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    await repository.watches.hub.close()
