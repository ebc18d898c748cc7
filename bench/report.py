"""Writes the results: a table for people and JSON for programs."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    name: str
    value: float
    unit: str
    goal: str
    is_met: bool | None
    """None without a goal."""
    note: str = ""
    client: float = 0.0
    """The fraction of a core used by the client."""


def beside(results: Iterable[Result], what: str) -> list[Result]:
    """The same result for `what`, without a goal."""
    return [replace(result, name=f"{result.name}, {what}", goal="", is_met=None) for result in results]


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _about_the_client(results: list[Result]) -> str:
    busiest = max(results, key=lambda result: result.client, default=None)
    share = 0.0 if busiest is None else busiest.client
    least = f"At most it used {share:.0%} of a core" + (f" ({busiest.name})" if busiest else "")
    return (
        "The load client is a separate process and not the bottleneck: it sends prepared bytes, reads"
        " responses without parsing them, and records its own CPU time in each trial. "
        f"{least}; near 100% the client would be the bottleneck."
    )


def write(results: list[Result], name: str) -> str:
    """Returns the table and writes it beside this file."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Results",
        "",
        f"Commit {_commit()}, {machine}: server, database and client share them. `make bench` writes it.",
        "Compare values within one run only; ratios are to the floor of the same run.",
        "",
        _about_the_client(results),
        "",
        "| what | measured | goal | met | |",
        "|---|---|---|---|---|",
    ]
    marks = {True: "yes", False: "**no**", None: ""}
    for result in results:
        value = f"{result.value:,.3g}" if result.value < 1000 else f"{result.value:,.0f}"
        parts = (
            result.name,
            f"{value} {result.unit}",
            result.goal,
            marks[result.is_met],
            result.note,
        )
        lines.append(f"| {' | '.join(parts)} |")
    text = "\n".join(lines) + "\n"
    (FOLDER / f"{name}.md").write_text(text)
    rows = {
        "commit": _commit(),
        "machine": machine,
        "results": [asdict(result) for result in results],
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    return text
