"""`make bench` measures all of it, `make bench-quick` a little of each in under two minutes."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import uvloop
from rich.console import Console

from bench import report, trials
from bench.report import Figure
from repo import migrate
from tests.databases import PostgresDatabases
from tests.postgres import running_postgres

console = Console(soft_wrap=True)


async def measure(quick: bool, words: list[str]) -> list[Figure]:
    """All figures, each trial with a database of its own."""
    seconds, figures = (3.0 if quick else 15.0), []
    plan: dict[str, Callable[[str], Awaitable[list[Figure]]]] = {
        "lists": partial(trials.lists, seconds=seconds),
        "fan-out": partial(trials.fan_out, subscribers=200 if quick else 1000, rate=1000, seconds=seconds),
        "distinct": partial(trials.distinct, subscribers=50, seconds=seconds),
        "snapshot": partial(trials.snapshot, actions=10_000 if quick else 50_000),
        "writes": partial(trials.writes, rounds=3 if quick else 10),
    }
    with running_postgres(shared_buffers="256MB") as server:
        databases = await asyncio.to_thread(PostgresDatabases, server.url)
        for name, trial in plan.items():
            if words and name not in words:
                continue
            console.print(f"{name} …", end=" ")
            url = await asyncio.to_thread(databases.create)
            await migrate(url)
            found = await trial(url)
            figures += found
            console.print(", ".join(f"{each.name} {each.value:.3g} {each.unit}" for each in found))
    return figures


def main() -> int:
    """The exit code: 0, also where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("trials", nargs="*", help="only these: lists, fan-out, distinct, snapshot, writes")
    given = parser.parse_args()
    figures = uvloop.run(measure(given.quick, given.trials))
    complete = not given.trials
    name = ("QUICK" if given.quick else "RESULTS") if complete else "PART"
    console.print(report.write(figures, name), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
