"""The long form of the fault trials, with measurements: `make soak`, or a part of it: `python -m
tests.faults redis`."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults import aborts, crowds, leases, logs
from tests.faults.checks import percentile
from tests.faults.crowds import Measurements
from tests.faults.failover import FAILOVERS, try_failover
from tests.faults.faults import CLOCKS, FAULTS, SILENT_DEATH, Fault
from tests.faults.network import can_make_namespaces
from tests.faults.replica import ABORT_DEATHS
from tests.faults.stack import BusKind, Stack, Way, running_stack
from tests.faults.trial import Outcome, try_fault

Result = tuple[list[str], dict[str, object]]
"""The violated guarantees and the measurements."""
Trial = Callable[[], Awaitable[Result]]

console = Console(soft_wrap=True)


class Soak:
    """Runs the selected trials and collects their results."""

    def __init__(self, filters: Sequence[str], scale: float, seed: int) -> None:
        self.filters = filters
        self.scale = scale
        self.seed = seed
        self.measurements: list[dict[str, object]] = []
        self.violations = 0

    async def run(self, bus: BusKind) -> None:
        """Runs all trials with this bus."""
        rounds, seconds = round(200 * self.scale), 20 * self.scale
        async with running_stack(bus) as stack:
            for fault in FAULTS:
                if bus in fault.buses:
                    await self._try(bus, fault.name, partial(self._fault, stack, fault))
            first = partial(crowds.try_first_subscribers, stack, rounds, self.seed)
            await self._try(bus, "20 first subscribers", partial(self._crowd, first))
            storm = partial(crowds.try_storm, stack, seconds, self.seed)
            await self._try(bus, "a storm of subscribers", partial(self._crowd, storm))
            if bus == "postgresql":  # what follows is about one replica
                stalled = partial(crowds.try_stalled, stack, 150, 50, seconds, self.seed)
                await self._try(bus, "50 of 200 do not read", partial(self._measure, stalled))
                large = partial(crowds.try_large_run, stack, 50_000, self.seed)
                await self._try(bus, "50,000 actions", partial(self._measure, large))
                leased = partial(leases.try_leases, stack, 12, max(1, round(4 * self.scale)), self.seed)
                await self._try(bus, "executors and replicas killed", partial(self._crowd, leased))
            log = partial(logs.try_log, stack, 200, 1_000, seconds, self.seed)
            await self._try(bus, "a log watched by 200, replicas killed", partial(self._crowd, log))
            for act in logs.FAULTS:
                log = partial(logs.try_log, stack, 50, 500, seconds / 2, self.seed, act)
                await self._try(bus, f"a log, {act.__name__.replace('_', ' ')}", partial(self._crowd, log))
            if self.violations:
                for replica in stack.replicas:
                    console.print(f"{replica.name}:\n{replica.log_tail()}", markup=False)

    async def run_silent_death(self, bus: BusKind) -> None:
        """The trial in which the database host dies, in network namespaces if possible."""
        way: Way = "network" if can_make_namespaces() else "proxy"
        async with running_stack(bus, settings={"RUNGRAPH_OPERATION_TIMEOUT": "2"}, way=way) as stack:
            await self._try(bus, SILENT_DEATH.name, partial(self._fault, stack, SILENT_DEATH))

    async def run_failovers(self, bus: BusKind) -> None:
        """The trials of failovers and restores, each on its own stack."""
        for failover in FAILOVERS:
            trial = partial(try_failover, failover, bus, 5 * self.scale, self.seed)
            await self._try(bus, f"failover: {failover.name}", partial(self._crowd, trial))

    async def run_clocks(self, bus: BusKind) -> None:
        """The trial of jumping clocks, on a stack whose clocks can be moved."""

        async def trial() -> Result:
            async with running_stack(bus, with_clocks=True) as stack:
                return await self._fault(stack, CLOCKS)

        await self._try(bus, CLOCKS.name, trial)

    async def run_aborts(self) -> None:
        """The trials of aborts, each on its own three replicas."""
        many, some = round(2000 * self.scale), round(300 * self.scale)
        kills = list(ABORT_DEATHS)
        for name, trial in (
            (f"{many:,} runs aborted at once", partial(aborts.try_aborts, many, self.seed)),
            (
                f"{many:,} aborts, replicas killed",
                partial(aborts.try_aborts, many, self.seed, kills=kills, each=12 * self.scale),
            ),
            (
                f"{some:,} aborts, clocks jump",
                partial(aborts.try_aborts, some, self.seed, jumps=40 * self.scale, slowness=600.0),
            ),
            (
                f"{some:,} aborts, executor unavailable",
                # After failed attempts the pauses between notifications grow up to five minutes.
                partial(
                    aborts.try_aborts,
                    some,
                    self.seed,
                    unavailable=60 * self.scale,
                    attempts=20,
                    slowness=1200.0,
                ),
            ),
        ):
            await self._try("postgresql", name, partial(self._aborts, trial))

    async def _aborts(self, trial: Callable[[], Awaitable[aborts.Outcome]]) -> Result:
        outcome = await trial()
        console.print(json.dumps(outcome.measurements), end=" ")
        return outcome.problems, dict(outcome.measurements)

    async def _try(self, bus: str, name: str, trial: Trial) -> None:
        if not all(text in f"{bus} {name}" for text in self.filters):
            return
        console.print(f"{bus}: {name} …", end=" ")
        began = time.monotonic()
        violations, measurements = await trial()
        console.print(f"{time.monotonic() - began:.0f} s, {len(violations)} violations")
        for text in violations[:10]:
            console.print(f"    {text}", markup=False)
        self.violations += len(violations)
        self.measurements.append({"bus": bus, "trial": name, "violations": len(violations), **measurements})

    async def _fault(self, stack: Stack, fault: Fault) -> Result:
        outcome = await try_fault(stack, fault, fault.long * self.scale, self.seed)
        return outcome.violations(fault.max_lag), _measurements(outcome)

    async def _crowd(self, trial: Callable[[], Awaitable[Outcome]]) -> Result:
        outcome = await trial()
        return outcome.violations(), _measurements(outcome)

    async def _measure(self, measure: Callable[[], Awaitable[Measurements]]) -> Result:
        measurements = await measure()
        console.print(json.dumps(measurements), end=" ")
        return [], dict(measurements)


def _measurements(outcome: Outcome) -> dict[str, object]:
    return {
        "writes": outcome.writes,
        "rows": outcome.rows,
        "streams": outcome.streams,
        "resyncs": outcome.resyncs,
        "usual_p50": percentile(outcome.usual, 0.5),
        "usual_p99": percentile(outcome.usual, 0.99),
        "during_p99": percentile(outcome.during, 0.99),
        "during_worst": max(outcome.during, default=None),
        "after_worst": max(outcome.after, default=None),
    }


def show(rows: Sequence[dict[str, object]]) -> None:
    """Prints the measurements as a table."""
    table = Table(title="Milliseconds from an acknowledged write until each subscriber has it")
    columns = {
        "usual_p50": "p50",
        "usual_p99": "p99",
        "during_p99": "during, p99",
        "during_worst": "worst",
        "after_worst": "after its end, worst",
    }
    for title in ("bus", "fault", "writes", "streams"):
        table.add_column(title)
    for title in columns.values():
        table.add_column(title, justify="right")
    for row in rows:
        if row.get("writes"):
            times = [row[name] for name in columns]
            shown = [f"{value * 1000:,.0f}" if isinstance(value, float) else "" for value in times]
            table.add_row(str(row["bus"]), str(row["trial"]), str(row["writes"]), str(row["streams"]), *shown)
    if table.rows:
        console.print(table)


def main() -> int:
    """Returns the exit code: 1 if a guarantee was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("filters", nargs="*", help="only the trials whose bus and name have all these words")
    parser.add_argument("--bus", choices=("postgresql", "redis"), action="append")
    parser.add_argument("--scale", type=float, default=1.0, help="how long, as a part of the long form")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a file for the measurements; times in seconds")
    arguments = parser.parse_args()
    soak = Soak(arguments.filters, arguments.scale, arguments.seed)
    for bus in arguments.bus or ["postgresql", "redis"]:
        asyncio.run(soak.run(bus))
        asyncio.run(soak.run_silent_death(bus))
        asyncio.run(soak.run_clocks(bus))
        asyncio.run(soak.run_failovers(bus))
        if bus == "postgresql":  # they do not involve the bus
            asyncio.run(soak.run_aborts())
    show(soak.measurements)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(soak.measurements, indent=1))
    return 1 if soak.violations or not soak.measurements else 0


if __name__ == "__main__":
    sys.exit(main())
