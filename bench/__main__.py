"""The benchmarks: `make bench` runs all, `make bench-quick` a short form of each in under two minutes."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console

from bench import report
from bench.artifacts import artifacts
from bench.attacks import bombs
from bench.client import client
from bench.executors import executors
from bench.growth import growth
from bench.large import large
from bench.leases import leases
from bench.lists import lists
from bench.logs import logs
from bench.page import page
from bench.peers import peers
from bench.record import RUNS
from bench.report import Result
from bench.snapshots import snapshot
from bench.starting import starting
from bench.stuck import stuck
from bench.tokens import tokens
from bench.watching import distinct, fan_out, frames
from bench.writing import watched_writes, writes
from repo import migrate
from tests.support.databases import PostgresDatabases, SqliteDatabases
from tests.support.postgres import running_postgres

Trial = Callable[[str], Awaitable[list[Result]]]

_ALSO_ON_SQLITE = ("lists", "writes")

console = Console(soft_wrap=True)


def trials(quick: bool, restart: Callable[[], None] | None = None) -> dict[str, Trial]:
    """A trial: its name, and a function that takes the URL of a migrated database of its own. `restart`
    restarts the server of PostgreSQL."""
    seconds = 3.0 if quick else 15.0
    return {
        "starting": partial(starting, rounds=3 if quick else 10),
        "lists": partial(lists, seconds=seconds),
        "tokens": partial(tokens, seconds=seconds),
        "peers": partial(peers, seconds=seconds),
        "fan-out": partial(fan_out, subscribers=200 if quick else 1000, rate=1000, seconds=seconds),
        "frames": partial(frames, subscribers=2000, seconds=seconds),
        "distinct": partial(distinct, subscribers=300, seconds=seconds),
        "stuck": partial(stuck, seconds=seconds),
        "snapshot": partial(snapshot, actions=10_000 if quick else 50_000),
        "writes": partial(writes, rounds=3 if quick else 10),
        "executors": partial(executors, seconds=seconds),
        "artifacts": partial(artifacts, seconds=seconds, size=10**8),
        "logs": partial(logs, megabytes=10 if quick else 100, subscribers=200, rate=1000, seconds=seconds),
        "leases": partial(leases, runs=200 if quick else 1_000, seconds=seconds),
        "client": partial(client, rounds=2 if quick else 7),
        "watched-writes": partial(watched_writes, rounds=5 if quick else 20),
        "page": partial(
            page,
            actions=10_000 if quick else 50_000,
            runs=10_000 if quick else 100_000,
            rate=200,
            seconds=seconds,
        ),
        "attacks": partial(bombs, seconds=seconds),
        "large": partial(
            large,
            runs=10_000 if quick else RUNS,
            rounds=1 if quick else 5,
            restart=None if quick else restart,
        ),
        "growth": partial(growth, runs=3_000 if quick else 30_000, seconds=5 if quick else 120),
    }


async def measure(quick: bool, filters: list[str]) -> list[Result]:
    """All results, or those of the named trials."""
    results: list[Result] = []
    with (
        running_postgres(durable=True, shared_buffers="256MB", max_wal_size="4GB") as server,
        tempfile.TemporaryDirectory() as folder,
    ):

        def restart() -> None:
            server.stop()
            server.start()

        postgres = await asyncio.to_thread(PostgresDatabases, server.url)
        sqlite = SqliteDatabases(Path(folder))
        for name, trial in trials(quick, restart).items():
            if filters and name not in filters:
                continue
            url = await asyncio.to_thread(postgres.create)
            results += await _run(name, trial, url)
            await asyncio.to_thread(postgres.drop, url)
            if name in _ALSO_ON_SQLITE:
                results += report.beside(await _run(f"{name}, SQLite", trial, sqlite.create()), "SQLite")
    return results


async def _run(name: str, trial: Trial, url: str) -> list[Result]:
    console.print(f"{name} …", end=" ")
    began = time.monotonic()
    await migrate(url)
    found = await trial(url)
    console.print(
        ", ".join(f"{each.name} {each.value:.3g} {each.unit}" for each in found),
        f"({time.monotonic() - began:.0f} s)",
    )
    return found


def main() -> int:
    """The exit code: 0 even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    names = list(trials(quick=True))
    parser.add_argument("trials", nargs="*", metavar="trial", help=f"only these: {', '.join(names)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.trials) - set(names):
        parser.error(f"there is no trial {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    results = uvloop.run(measure(arguments.quick, arguments.trials))
    complete = not arguments.trials
    name = ("QUICK" if arguments.quick else "RESULTS") if complete else "PART"
    console.print(report.write(results, name), markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
