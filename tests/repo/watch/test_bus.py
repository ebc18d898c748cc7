"""The bus between replicas, on real servers: notifications may be late or lost, but never block."""

import asyncio
import os
from functools import partial

import pytest
import structlog

from repo import ActionPhase, InvalidArgument, open_repository
from repo.watch import bus as bus_module
from repo.watch.bus import Bus
from tests.support.making import RUN, action, make_run
from tests.support.notifications import (
    SECONDS,
    NotificationCounter,
    logged,
    open_bus,
    terminate_listeners,
    wait_for_notification,
)
from tests.support.ports import free_port
from tests.support.proxy import proxied
from tests.support.redis_server import running_redis
from tests.support.waiting import until


async def test_a_notification_reaches_another_replica(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        await wait_for_notification(here, there)


async def test_a_notification_in_one_process_needs_no_server() -> None:
    async with open_bus("memory://") as (bus, counter):
        await wait_for_notification(bus, counter)


async def test_many_notifications_become_few_messages(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        await wait_for_notification(here, there)
        await asyncio.sleep(0.2)
        before = there.received
        for _ in range(1000):
            here.notify()
        await wait_for_notification(here, there)
        assert 1 <= there.received - before <= 10


async def test_the_bus_reconnects(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (bus, there):
        await wait_for_notification(here, there)
        with structlog.testing.capture_logs() as logs:
            for turn in range(1, 4):
                await terminate_listeners(bus_url)
                # Connections on both sides.
                await until(partial(logged, logs, "bus connection lost", 2 * turn))
                await until(partial(logged, logs, "bus connection restored", 2 * turn))
                assert (here.connected, bus.connected) == (True, True)
                await wait_for_notification(here, there)


async def test_notifications_on_cut_connections_do_not_end_the_bus(bus_url: str) -> None:
    """Regression: a notification on a closing connection ended the sender task."""
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        for _ in range(20):
            cutting = asyncio.create_task(terminate_listeners(bus_url))
            while not cutting.done():
                here.notify()
                await asyncio.sleep(0)
            await cutting
        await wait_for_notification(here, there)


@pytest.mark.usefixtures("short_heartbeat")
async def test_a_dead_connection_is_detected_and_replaced(bus_url: str) -> None:
    async with proxied(bus_url) as proxy, open_bus(bus_url) as (here, _):
        async with open_bus(proxy.url(bus_url)) as (bus, there):
            await wait_for_notification(here, there)
            proxy.stall()
            for _ in range(5):
                bus.notify()  # returns at once, and finds nobody
                await asyncio.sleep(0.05)
            await until(lambda: not bus.connected)
            proxy.flow()
            await until(lambda: bus.connected)
            await wait_for_notification(here, there)
            await wait_for_notification(bus, there)


async def test_a_dead_connection_is_detected_within_15_seconds() -> None:
    """A connection is probed after a silent heartbeat and has one heartbeat to answer."""
    assert 2 * bus_module.HEARTBEAT + bus_module.RETRY[0] <= 15


@pytest.mark.usefixtures("short_heartbeat")
async def test_the_bus_connects_later_if_unavailable_at_startup(bus_url: str) -> None:
    async with proxied(bus_url) as proxy, open_bus(bus_url) as (here, _):
        proxy.refuse()
        counter = NotificationCounter()
        bus = Bus(proxy.url(bus_url), counter.count)
        async with bus.open():
            bus.notify()
            await asyncio.sleep(0.3)
            assert not bus.connected
            proxy.refuse(False)
            await until(lambda: bus.connected)
            await wait_for_notification(here, counter)


async def test_the_bus_reconnects_after_a_restart_of_redis() -> None:
    with running_redis() as server:
        async with open_bus(server.url) as (here, _), open_bus(server.url) as (bus, there):
            await wait_for_notification(here, there)
            await asyncio.to_thread(server.stop)
            await until(lambda: not bus.connected)
            here.notify()
            await asyncio.to_thread(server.start)
            await until(lambda: bus.connected and here.connected)
            await wait_for_notification(here, there)


async def test_changes_reach_another_replica_without_a_bus(database_url: str) -> None:
    nowhere = f"redis://127.0.0.1:{free_port()}"
    async with (
        asyncio.timeout(SECONDS),
        open_repository(database_url, broadcast_url=nowhere) as writer,
        open_repository(database_url, broadcast_url=nowhere) as reader,
    ):
        await make_run(writer)
        updates = reader.watch_run_updates(RUN)
        await anext(updates)
        await writer.update_action_phase(action(), ActionPhase.RUNNING, 1)
        assert (await anext(updates)).phase is ActionPhase.RUNNING
        await updates.aclose()


@pytest.mark.usefixtures("short_heartbeat")
async def test_a_closed_bus_releases_everything(bus_url: str) -> None:
    async with open_bus(bus_url):
        await terminate_listeners(bus_url)
    await asyncio.sleep(0.1)
    tasks, descriptors = asyncio.all_tasks(), len(os.listdir("/dev/fd"))
    for _ in range(5):
        async with open_bus(bus_url) as (bus, counter):
            await terminate_listeners(bus_url)
            await until(lambda: bus.connected)
            await wait_for_notification(bus, counter)
    await until(lambda: len(os.listdir("/dev/fd")) <= descriptors)
    assert asyncio.all_tasks() == tasks


@pytest.mark.usefixtures("short_heartbeat")
@pytest.mark.parametrize(
    "url",
    ["redis://user:canary@127.0.0.1:{port}/0", "postgresql://postgres:canary@127.0.0.1:{port}/none"],
)
async def test_bus_errors_are_logged_once_and_without_the_password(url: str) -> None:
    with structlog.testing.capture_logs() as logs:
        bus = Bus(url.format(port=free_port()), lambda: None)
        async with bus.open():
            await until(lambda: bool(logs))
            await asyncio.sleep(0.5)
            assert not bus.connected
    (log,) = logs
    assert log["log_level"] == "warning"
    assert "canary" not in str(log)


@pytest.mark.parametrize("url", ["kafka://host", "", "mysql://user:canary@host/name"])
def test_an_unsupported_bus_url_is_rejected_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Bus(url, lambda: None)
    assert "canary" not in str(refused.value)
