"""The doorbell between replicas, on real servers: it may be late or lost, and never in the way."""

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
from tests.support.proxy import proxied
from tests.support.redis_server import running_redis
from tests.support.serving import free_port
from tests.support.waiting import until


async def test_a_ring_of_one_replica_is_heard_by_another(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        await wait_for_notification(here, there)


async def test_a_ring_is_heard_in_one_process_without_a_server() -> None:
    async with open_bus("memory://") as (bus, counter):
        await wait_for_notification(bus, counter)


async def test_many_rings_become_few_messages(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        await wait_for_notification(here, there)
        await asyncio.sleep(0.2)
        before = there.received
        for _ in range(1000):
            here.notify()
        await wait_for_notification(here, there)
        assert 1 <= there.received - before <= 10


async def test_a_bus_whose_connection_is_cut_connects_again(bus_url: str) -> None:
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (bus, there):
        await wait_for_notification(here, there)
        with structlog.testing.capture_logs() as logs:
            for turn in range(1, 4):
                await terminate_listeners(bus_url)
                # Both, here and there.
                await until(partial(logged, logs, "bus connection lost", 2 * turn))
                await until(partial(logged, logs, "bus connection restored", 2 * turn))
                assert (here.connected, bus.connected) == (True, True)
                await wait_for_notification(here, there)


async def test_rings_while_connections_are_cut_do_not_end_the_bus(bus_url: str) -> None:
    """A ring that met a connection in its last moment once ended the task that rings."""
    async with open_bus(bus_url) as (here, _), open_bus(bus_url) as (_, there):
        for _ in range(20):
            cutting = asyncio.create_task(terminate_listeners(bus_url))
            while not cutting.done():
                here.notify()
                await asyncio.sleep(0)
            await cutting
        await wait_for_notification(here, there)


@pytest.mark.usefixtures("short_heartbeat")
async def test_a_dead_link_is_noticed_and_replaced(bus_url: str) -> None:
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


async def test_a_dead_link_is_noticed_within_15_seconds() -> None:
    """The link is asked when it was silent for a beat, and has a beat to answer."""
    assert 2 * bus_module.HEARTBEAT + bus_module.RETRY[0] <= 15


@pytest.mark.usefixtures("short_heartbeat")
async def test_a_bus_that_is_away_at_first_is_found_later(bus_url: str) -> None:
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


async def test_redis_may_stop_and_start_again() -> None:
    with running_redis() as server:
        async with open_bus(server.url) as (here, _), open_bus(server.url) as (bus, there):
            await wait_for_notification(here, there)
            await asyncio.to_thread(server.stop)
            await until(lambda: not bus.connected)
            here.notify()
            await asyncio.to_thread(server.start)
            await until(lambda: bus.connected and here.connected)
            await wait_for_notification(here, there)


async def test_without_a_bus_a_watcher_on_another_replica_gets_the_change(database_url: str) -> None:
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
async def test_a_bus_holds_on_to_nothing_when_it_ends(bus_url: str) -> None:
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
async def test_what_is_wrong_with_a_bus_is_logged_once_and_without_its_password(url: str) -> None:
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
def test_a_bus_that_there_is_not_is_refused_without_repeating_the_url(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        Bus(url, lambda: None)
    assert "canary" not in str(refused.value)
