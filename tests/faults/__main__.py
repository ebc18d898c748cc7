"""The long form of the faults, with figures: `make soak`, or a part of it: `python -m tests.faults redis`."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.faults.faults import FAULTS, Fault
from tests.faults.stack import BusKind, running_stack
from tests.faults.trial import Outcome, try_fault

AFTER = 5.0
"""Seconds after a fault within which everybody has to have seen everything: the promise in the README."""

console = Console()


def broken_promises(fault: Fault, outcome: Outcome) -> list[str]:
    """What went wrong, and what came too late."""
    found = list(outcome.problems)
    if (latest := max(outcome.after, default=0)) > AFTER:
        found.append(f"something was seen only {latest:.1f} s after the fault, {AFTER:.0f} s are promised")
    if fault.heard_within is not None and (latest := max(outcome.during, default=0)) > fault.heard_within:
        found.append(f"something was seen {latest:.1f} s late, {fault.heard_within:.0f} s are promised")
    return found


def percentile(values: Sequence[float], part: float) -> float | None:
    """The value below which this part of the values lies."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else None


def milliseconds(value: float | None) -> str:
    """As it stands in the table."""
    return "" if value is None else f"{value * 1000:,.0f}"


Row = dict[str, object]
"""The figures of one trial."""


async def soak(buses: Sequence[BusKind], words: Sequence[str], scale: float, seed: int) -> list[Row]:
    """The figures of each trial."""
    rows: list[Row] = []
    for bus in buses:
        async with running_stack(bus) as stack:
            for fault in FAULTS:
                if bus not in fault.buses or not all(word in fault.name for word in words):
                    continue
                console.print(f"{bus}: {fault.name} …", end=" ")
                started = time.monotonic()
                outcome = await try_fault(stack, fault, fault.long * scale, seed)
                broken = broken_promises(fault, outcome)
                console.print(f"{time.monotonic() - started:.0f} s, " + ("broken" if broken else "kept"))
                for text in broken[:10]:
                    console.print(f"    {text}", style="red")
                rows.append(
                    {
                        "bus": bus,
                        "fault": fault.name,
                        "broken": len(broken),
                        "writes": outcome.writes,
                        "rows_seen": outcome.rows,
                        "streams": outcome.streams,
                        "resyncs": outcome.resyncs,
                        "usual_p50": percentile(outcome.usual, 0.5),
                        "usual_p99": percentile(outcome.usual, 0.99),
                        "during_p99": percentile(outcome.during, 0.99),
                        "during_max": max(outcome.during, default=None),
                        "after_max": max(outcome.after, default=None),
                    }
                )
            if any(row["broken"] for row in rows):
                for replica in stack.replicas:
                    console.print(f"{replica.name} said:\n{replica.said()}", markup=False)
    return rows


def show(rows: Sequence[Row]) -> None:
    """The figures as a table; times in ms."""
    table = Table(title="Milliseconds from an acknowledged write until a subscriber has it")
    for title in ("bus", "fault", "writes", "streams", "p50", "p99", "during, worst", "after its end, worst"):
        table.add_column(title, justify="left" if title in ("bus", "fault") else "right")
    for row in rows:
        times = [row[name] for name in ("usual_p50", "usual_p99", "during_max", "after_max")]
        shown = [milliseconds(value) for value in times if value is None or isinstance(value, float)]
        table.add_row(*(str(row[name]) for name in ("bus", "fault", "writes", "streams")), *shown)
    console.print(table)


def main() -> int:
    """The exit code: 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("words", nargs="*", help="only the faults whose names have all these words")
    parser.add_argument("--bus", choices=("postgresql", "redis"), action="append")
    parser.add_argument("--scale", type=float, default=1.0, help="how long, as a part of the long form")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="a file for the figures, in seconds")
    given = parser.parse_args()
    rows = asyncio.run(soak(given.bus or ["postgresql", "redis"], given.words, given.scale, given.seed))
    show(rows)
    if given.json is not None:
        given.json.write_text(json.dumps(rows, indent=1))
    return 1 if any(row["broken"] for row in rows) or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
