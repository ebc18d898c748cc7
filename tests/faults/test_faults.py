"""Watching under faults, in short: `make soak` does the same for longer, and measures it.

Real replicas write to a real PostgreSQL and ring over a real bus; what viewers saw is compared with what
was acknowledged and with what is stored.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults import crowds
from tests.faults.failover import FAILOVERS, Failover, try_failover
from tests.faults.faults import CLOCKS, FAULTS, SILENT_DEATH, Fault
from tests.faults.network import can_make_namespaces
from tests.faults.stack import BusKind, Stack, Way, running_stack
from tests.faults.trial import LEAST_WRITES, try_fault

SEED = 1
PATIENCE = 6.0
"""How much slower than promised a machine may be on which everything else runs too."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_postgres() -> AsyncIterator[Stack]:
    """Two replicas with the bus on PostgreSQL."""
    async with running_stack("postgresql") as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on_redis() -> AsyncIterator[Stack]:
    """Two replicas with the bus on Redis."""
    async with running_stack("redis") as stack:
        yield stack


def faults_with(bus: BusKind) -> list[Fault]:
    """The faults that are tried with this bus."""
    found = [fault for fault in FAULTS if bus in fault.buses]
    return [f for f in found if bus == "postgresql" or len(f.buses) == 1 or "killed" in f.name]


async def check(stack: Stack, fault: Fault) -> None:
    outcome = await try_fault(stack, fault, fault.short, SEED)
    said = "\n".join(f"{replica.name} said: {replica.said()}" for replica in stack.replicas)
    assert outcome.broken_promises(fault.heard_within, PATIENCE) == [], said
    assert outcome.writes > LEAST_WRITES, "nobody wrote"
    assert outcome.rows > outcome.writes, "nobody watched"


@pytest.mark.parametrize("fault", faults_with("postgresql"), ids=lambda fault: fault.name)
async def test_nothing_is_missed_with_the_bus_on_postgresql(on_postgres: Stack, fault: Fault) -> None:
    await check(on_postgres, fault)


@pytest.mark.parametrize("fault", faults_with("redis"), ids=lambda fault: fault.name)
async def test_nothing_is_missed_with_the_bus_on_redis(on_redis: Stack, fault: Fault) -> None:
    await check(on_redis, fault)


@pytest.mark.parametrize("bus", ["postgresql", "redis"])
async def test_nothing_is_missed_while_clocks_jump(bus: BusKind) -> None:
    async with running_stack(bus, with_clocks=True) as stack:
        await check(stack, CLOCKS)


WAYS: list[Way] = ["proxy", "network"] if can_make_namespaces() else ["proxy"]


@pytest.mark.parametrize("bus", ["postgresql", "redis"])
@pytest.mark.parametrize("way", WAYS)
async def test_nothing_is_missed_when_the_host_of_the_database_dies_silently(bus: BusKind, way: Way) -> None:
    async with running_stack(bus, settings={"RUNGRAPH_OPERATION_TIMEOUT": "2"}, way=way) as stack:
        await check(stack, SILENT_DEATH)


async def test_twenty_first_subscribers_miss_nothing(on_postgres: Stack) -> None:
    assert (await crowds.try_first_subscribers(on_postgres, 5, SEED)).problems == []


async def test_who_comes_in_a_storm_of_writes_misses_nothing(on_postgres: Stack) -> None:
    assert (await crowds.try_storm(on_postgres, 1.5, SEED)).problems == []


async def test_those_who_take_nothing_hold_up_nobody(on_postgres: Stack) -> None:
    figures = await crowds.try_stalled(on_postgres, 10, 10, 1.0, SEED)
    assert figures["p99_with_stalled"] < PATIENCE
    assert figures["bytes_each"] < 4 * 1024 * 1024


async def test_a_large_run_comes_whole(on_postgres: Stack) -> None:
    figures = await crowds.try_large_run(on_postgres, 6000, SEED)
    assert figures["actions"] == 6000


def failovers() -> list[Failover]:
    """Those that test_failover.py does not have in one process; the soak has all, with both buses."""
    return [each for each in FAILOVERS if each.way == "pgbouncer" or each.meanwhile == "switches"]


@pytest.mark.parametrize("failover", failovers(), ids=lambda failover: failover.name)
async def test_nothing_is_missed_nor_shown_for_ever_after_a_failover(failover: Failover) -> None:
    outcome = await try_failover(failover, "redis" if failover.way == "proxy" else "postgresql", 0.5, SEED)
    assert outcome.broken_promises(patience=PATIENCE) == []
    assert outcome.writes > 20, "nobody wrote"
