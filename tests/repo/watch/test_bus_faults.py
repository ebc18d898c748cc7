"""Faults of the bus: they are logged, and cost subscribers nothing but time."""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import aclosing
from functools import partial

import pytest
import structlog
from redis.asyncio import Redis

from repo import (
    Action,
    ActionEvent,
    ActionPhase,
    ActionRepo,
    InvalidArgument,
    open_repository,
)
from repo.watch import bus, hub
from repo.watch.bus import Bus
from tests.support.making import (
    RUN,
    action,
    event,
    make_run,
)
from tests.support.notifications import (
    SECONDS,
    logged,
    open_bus,
    terminate_listeners,
    wait_for_notification,
)
from tests.support.proxy import proxied
from tests.support.redis_server import RedisServer, running_redis
from tests.support.waiting import until

on_postgres = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)


@pytest.mark.usefixtures("short_heartbeat")
async def test_the_bus_can_be_closed_at_any_moment(bus_url: str) -> None:
    """Regression: it continued if its connection was lost, or a notification sent, during cancellation."""
    async with asyncio.timeout(SECONDS), proxied(bus_url) as proxy:
        for turns in range(40):
            async with open_bus(proxy.url(bus_url)) as (here, _):
                here.notify()
                proxy.cut()
                for _ in range(turns):
                    await asyncio.sleep(0)


async def test_a_postgresql_bus_can_be_closed_while_its_connection_is_lost(postgres_server_url: str) -> None:
    async with asyncio.timeout(SECONDS):
        for turns in range(8):
            backend = bus.PostgresBackend(postgres_server_url)
            await backend.connect()
            await until(lambda: backend.connected)  # noqa: B023 - called at once
            backend._lost.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            await backend.disconnect()


@pytest.mark.usefixtures("short_heartbeat")
async def test_an_unresponsive_connection_is_detected(bus_url: str) -> None:
    """As with a load balancer without a server: it connects, but nothing answers."""
    async with proxied(bus_url) as proxy, open_bus(proxy.url(bus_url)) as (here, counter):
        await wait_for_notification(here, counter)
        proxy.stall()
        proxy.cut()
        await until(lambda: not here.connected)
        here.notify()
        proxy.flow()
        await until(lambda: here.connected)
        await wait_for_notification(here, counter)


@pytest.mark.usefixtures("short_heartbeat")
async def test_dead_connections_leave_nothing_behind(bus_url: str) -> None:
    async def suffer() -> None:
        async with proxied(bus_url) as proxy, open_bus(proxy.url(bus_url)) as (here, counter):
            for _ in range(4):
                await wait_for_notification(here, counter)
                proxy.stall()
                here.notify()
                await until(lambda: not here.connected)
                proxy.flow()
                await until(lambda: here.connected)
            # It is closed while its connection is dead and a notification is in flight.
            proxy.stall()
            here.notify()
            await asyncio.sleep(0.05)

    tasks = asyncio.all_tasks()
    await suffer()
    await until(lambda: asyncio.all_tasks() == tasks)
    descriptors = len(os.listdir("/dev/fd"))
    await suffer()
    await until(lambda: asyncio.all_tasks() == tasks)
    await until(lambda: len(os.listdir("/dev/fd")) <= descriptors)


@pytest.mark.usefixtures("short_heartbeat")
async def test_a_notification_on_a_closing_connection_leaks_nothing(
    bus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Redis client opens a new connection after one is closed."""
    monkeypatch.setattr(bus, "MIN_INTERVAL", 0)

    async def notify(here: Bus) -> None:
        while True:
            here.notify()
            await asyncio.sleep(0)

    counts = []
    for _ in range(15):
        async with open_bus(bus_url) as (here, _):
            notifying = asyncio.create_task(notify(here))
            with structlog.testing.capture_logs() as logs:
                await terminate_listeners(bus_url)
                await until(partial(logged, logs, "bus connection restored", 1))
            notifying.cancel()
        await asyncio.sleep(0.05)
        counts.append(len(os.listdir("/dev/fd")))
    assert counts[-1] <= counts[0], counts


async def test_a_bus_without_permission_to_notify_is_not_connected(redis_server: RedisServer) -> None:
    url = redis_server.url.replace("redis://", "redis://listener:canary@")
    async with Redis.from_url(redis_server.url) as operator:
        rights = partial(operator.acl_setuser, "listener", channels=[bus.CHANNEL], passwords="+canary")
        await rights(enabled=True, categories=["+@all"], commands=["-publish"])
        with structlog.testing.capture_logs() as logs:
            async with Bus(url, lambda: None).open():
                await until(partial(logged, logs, "bus connection lost", 1))
                assert "'publish'" in logs[0]["reason"]
                await rights(enabled=True, commands=["+publish"])
                await until(partial(logged, logs, "bus connection restored", 1))
    assert [log["log_level"] for log in logs] == ["warning", "info"]
    assert "canary" not in str(logs)


@pytest.mark.usefixtures("short_heartbeat")
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda url: url.replace("redis://", "redis://nobody:canary@"), "Authentication"),
        (lambda url: f"{url}/99", "DB index is out of range"),
        (lambda url: url.replace("redis://", "rediss://:canary@"), "Timeout"),
        (lambda url: f"{url}?canary=canary", "unexpected"),
    ],
    ids=["wrong password", "unknown database", "no TLS there", "unknown option"],
)
async def test_an_error_of_redis_is_logged_once(
    redis_server: RedisServer, change: Callable[[str], str], word: str
) -> None:
    await see_refused(change(redis_server.url), word)


@pytest.mark.usefixtures("short_heartbeat")
async def test_an_error_of_postgresql_is_logged_once(postgres_server_url: str) -> None:
    await see_refused(postgres_server_url.rpartition("/")[0] + "/there_is_none", "does not exist")


async def see_refused(url: str, word: str) -> None:
    with structlog.testing.capture_logs() as logs:
        refused = Bus(url, lambda: None)
        async with refused.open():
            await until(partial(logged, logs, "bus connection lost", 1))
            refused.notify()
            await asyncio.sleep(0.5)  # several attempts
            assert not refused.connected
    (log,) = logs
    assert log["log_level"] == "warning"
    assert word in log["reason"]
    assert "canary@" not in log["reason"]


@pytest.mark.parametrize(
    "url",
    [
        "redis://:can/ary@host:6379",
        "redis://user:can#ary@host",
        "postgresql://user:can/ary@host/name",
        "postgresql://user:can?ary@host/name",
        "redis://[canary",
        "redis://host:123456",
    ],
)
def test_a_url_with_an_unencoded_password_is_rejected_without_repeating_it(url: str) -> None:
    """Parsers take a part of the password for the port and quote it in their errors."""
    with pytest.raises(InvalidArgument) as refused:
        bus.check_broadcast_url(url)
    assert "can" not in str(refused.value)


@on_postgres
@pytest.mark.usefixtures("short_heartbeat")
async def test_subscribers_get_changes_while_redis_comes_and_goes(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_redis() as server:
        await asyncio.to_thread(server.stop)
        async with (
            asyncio.timeout(2 * SECONDS),
            open_repository(database_url, broadcast_url=server.url) as writer,
            open_repository(database_url, broadcast_url=server.url) as reader,
        ):
            await make_run(writer)

            async def both_connected() -> None:
                replicas = (writer, reader)
                await until(lambda: all(each.watches.metrics().bus_connected for each in replicas))

            async with aclosing(reader.watch_action_updates(action())) as updates:
                assert (await anext(updates)).phase is ActionPhase.QUEUED
                # Unavailable from the start: found by polling.
                await writer.update_action_phase(action(), ActionPhase.INITIALIZING, 1)
                assert (await anext(updates)).phase is ActionPhase.INITIALIZING
                assert not reader.watches.metrics().bus_connected
                # Available: without periodic polls, the notification arrives.
                monkeypatch.setattr(hub, "POLL_INTERVAL", 10 * SECONDS)
                await asyncio.to_thread(server.start)
                await both_connected()
                for _ in range(4):  # until the last look by himself; a machine that stalls takes one of these
                    await asyncio.sleep(0.5)
                before = reader.watches.metrics().counts.polls_without_notification
                await writer.update_action_phase(action(), ActionPhase.RUNNING, 1)
                assert (await anext(updates)).phase is ActionPhase.RUNNING
                assert reader.watches.metrics().counts.polls_without_notification == before
                # Unavailable during a write: the missed notification is made up for after reconnecting.
                await asyncio.to_thread(server.stop)
                await until(lambda: not writer.watches.metrics().bus_connected)
                await writer.update_action_phase(action(), ActionPhase.PAUSED, 1)
                await asyncio.to_thread(server.start)
                assert (await anext(updates)).phase is ActionPhase.PAUSED


class Unreliable:
    """A backend's receiver that drops, duplicates and reorders notifications."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self.faults = 0

    def receive(self, notify: Callable[[], None]) -> None:
        """Receives a notification, or drops, duplicates or delays it."""
        kind = self._chance.randrange(8)
        self.faults += kind > 1
        if kind < 3:
            notify()
        if kind == 2:
            notify()
        if kind == 3:
            asyncio.get_running_loop().call_later(self._chance.uniform(0, 0.5), notify)


@on_postgres
async def test_lost_and_duplicate_notifications_lose_no_changes(
    database_url: str, bus_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreliable = Unreliable()
    receive = bus.ReconnectingBackend.receive
    monkeypatch.setattr(
        bus.ReconnectingBackend, "receive", lambda backend: unreliable.receive(partial(receive, backend))
    )
    async with (
        asyncio.timeout(2 * SECONDS),
        open_repository(database_url, broadcast_url=bus_url) as one,
        open_repository(database_url, broadcast_url=bus_url) as other,
    ):
        await make_run(one, b="a0", c="a0", d="a0")
        held: list[dict[str, Action]] = [{}, {}]
        events: list[list[ActionEvent]] = [[], []]

        async def watch_actions(repository: ActionRepo, seen: dict[str, Action]) -> None:
            async with aclosing(repository.watch_all_action_updates(RUN)) as frames:
                async for frame in frames:
                    for found in frame.items:
                        assert found.name not in seen or seen[found.name].revision <= found.revision
                        seen[found.name] = found

        async def watch_events(repository: ActionRepo, seen: list[ActionEvent]) -> None:
            async with aclosing(repository.watches.watch_events(RUN)) as frames:
                async for frame in frames:
                    seen.extend(frame.items)

        async def write(repository: ActionRepo, name: str) -> None:
            for version in range(30):
                await repository.insert_events([event(name, version=version)])
                await repository.update_action_phase(action(name), ActionPhase.RUNNING, version // 10 + 1)
                await asyncio.sleep(0.01)
            await repository.update_action_phase(action(name), ActionPhase.SUCCEEDED, 3)

        watching = [
            *(asyncio.create_task(watch_actions(*each)) for each in zip((one, other), held, strict=True)),
            *(asyncio.create_task(watch_events(*each)) for each in zip((one, other), events, strict=True)),
        ]
        await asyncio.gather(write(one, "b"), write(other, "c"), write(one, "d"))
        stored = {found.name: found for found in (await one.list_actions(RUN)).items}
        await until(lambda: all(seen == stored for seen in held) and all(len(seen) >= 90 for seen in events))
        await asyncio.sleep(1.5)  # a duplicate would arrive by the next poll
        for task in watching:
            task.cancel()
        assert {type(ended) for ended in await asyncio.gather(*watching, return_exceptions=True)} == {
            asyncio.CancelledError
        }
    assert unreliable.faults > 10
    wanted = sorted((name, version) for name in "bcd" for version in range(30))
    for seen in events:
        assert sorted((found.action.name, found.version) for found in seen) == wanted
