"""Watching under faults, in a short form; `make soak` runs longer trials with measurements.

Real replicas use a real PostgreSQL and a real bus; what viewers received is compared with what was
acknowledged and stored.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults import crowds, logs
from tests.faults.failover import FAILOVERS, Failover, try_failover
from tests.faults.faults import CLOCKS, FAULTS, SILENT_DEATH, Fault
from tests.faults.network import can_make_namespaces
from tests.faults.stack import BusKind, Stack, Way, running_stack
from tests.faults.trial import MIN_WRITES, try_fault

SEED = 1
SLOWNESS = 6.0
"""The factor by which a loaded machine may exceed the guaranteed times."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_postgres() -> AsyncIterator[Stack]:
    """Two replicas with PostgreSQL as bus."""
    async with running_stack("postgresql") as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_redis() -> AsyncIterator[Stack]:
    """Two replicas with Redis as bus."""
    async with running_stack("redis") as stack:
        yield stack


def faults_with(bus: BusKind) -> list[Fault]:
    """The faults that are tested with this bus. Those that are not of the bus are tested with PostgreSQL."""
    found = [fault for fault in FAULTS if bus in fault.buses]
    return [fault for fault in found if bus == "postgresql" or len(fault.buses) == 1]


async def check(stack: Stack, fault: Fault) -> None:
    outcome = await try_fault(stack, fault, fault.short, SEED)
    log_tail = "\n".join(f"{replica.name}: {replica.log_tail()}" for replica in stack.replicas)
    assert outcome.violations(fault.max_lag, SLOWNESS) == [], log_tail
    assert outcome.writes > MIN_WRITES, "no writes"
    assert outcome.rows > outcome.writes, "no rows received"


@pytest.mark.parametrize("fault", faults_with("postgresql"), ids=lambda fault: fault.name)
async def test_nothing_is_missed_with_the_bus_on_postgresql(on_postgres: Stack, fault: Fault) -> None:
    await check(on_postgres, fault)


@pytest.mark.parametrize("fault", faults_with("redis"), ids=lambda fault: fault.name)
async def test_nothing_is_missed_with_the_bus_on_redis(on_redis: Stack, fault: Fault) -> None:
    await check(on_redis, fault)


@pytest.mark.parametrize("bus", ["postgresql", pytest.param("redis", marks=pytest.mark.soak)])
async def test_nothing_is_missed_while_clocks_jump(bus: BusKind) -> None:
    async with running_stack(bus, with_clocks=True) as stack:
        await check(stack, CLOCKS)


DEATHS = [("proxy", "redis"), pytest.param("proxy", "postgresql", marks=pytest.mark.soak)]
if can_make_namespaces():
    DEATHS += [("network", "postgresql"), pytest.param("network", "redis", marks=pytest.mark.soak)]


@pytest.mark.parametrize(("way", "bus"), DEATHS)
async def test_nothing_is_missed_when_the_database_host_dies_silently(bus: BusKind, way: Way) -> None:
    async with running_stack(bus, settings={"RUNGRAPH_OPERATION_TIMEOUT": "2"}, way=way) as stack:
        await check(stack, SILENT_DEATH)


async def test_twenty_simultaneous_first_subscribers_miss_nothing(on_postgres: Stack) -> None:
    assert (await crowds.try_first_subscribers(on_postgres, 5, SEED)).problems == []


async def test_subscribers_joining_during_a_storm_of_writes_miss_nothing(on_postgres: Stack) -> None:
    assert (await crowds.try_storm(on_postgres, 1.5, SEED)).problems == []


async def test_clients_that_do_not_read_delay_no_others(on_postgres: Stack) -> None:
    measurements = await crowds.try_stalled(on_postgres, 10, 10, 1.0, SEED)
    assert measurements["p99_with_stalled"] < SLOWNESS
    assert measurements["bytes_each"] < 4 * 1024 * 1024


async def test_a_large_run_arrives_completely(on_postgres: Stack) -> None:
    measurements = await crowds.try_large_run(on_postgres, 6000, SEED)
    assert measurements["actions"] == 6000


async def test_a_log_arrives_whole_and_in_order_while_replicas_are_killed(on_postgres: Stack) -> None:
    outcome = await logs.try_log(on_postgres, 20, 500, 3.0, SEED)
    assert outcome.violations() == []
    assert outcome.writes > 500


def failovers() -> list[Failover]:
    """The failovers not covered in one process by test_failover.py; the soak has all, with both buses."""
    return [each for each in FAILOVERS if each.way == "pgbouncer" or each.meanwhile == "switches"]


@pytest.mark.parametrize("failover", failovers(), ids=lambda failover: failover.name)
async def test_after_a_failover_nothing_is_missed_and_lost_rows_disappear(failover: Failover) -> None:
    outcome = await try_failover(failover, "redis" if failover.way == "proxy" else "postgresql", 0.5, SEED)
    assert outcome.violations(slowness=SLOWNESS) == []
    assert outcome.writes > 20, "no writes"
