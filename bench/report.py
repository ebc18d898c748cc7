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
class Figure:
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


def beside(figures: Iterable[Figure], what: str) -> list[Figure]:
    """The same figure for `what`, without a goal."""
    return [replace(figure, name=f"{figure.name}, {what}", goal="", is_met=None) for figure in figures]


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def _about_the_client(figures: list[Figure]) -> str:
    busiest = max(figures, key=lambda figure: figure.client, default=None)
    share = 0.0 if busiest is None else busiest.client
    least = f"At most it used {share:.0%} of a core" + (f" ({busiest.name})" if busiest else "")
    return (
        "The load client is a process of its own and is not the limit: it sends prepared bytes, reads answers"
        " without parsing them, and notes its own processor time in each trial under load. "
        f"{least}; near 100% the figure would be the client's."
    )


def write(figures: list[Figure], name: str) -> str:
    """Returns the table and writes it beside this file."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# Results",
        "",
        f"Commit {_commit()}, {machine}: server, database and client share them. `make bench` writes it.",
        "A figure is good for comparing within one run; ratios are to the floor of the same run.",
        "",
        _about_the_client(figures),
        "",
        "| what | measured | goal | met | |",
        "|---|---|---|---|---|",
    ]
    marks = {True: "yes", False: "**no**", None: ""}
    for figure in figures:
        value = f"{figure.value:,.3g}" if figure.value < 1000 else f"{figure.value:,.0f}"
        parts = (figure.name, f"{value} {figure.unit}", figure.goal, marks[figure.is_met], figure.note)
        lines.append(f"| {' | '.join(parts)} |")
    text = "\n".join(lines) + "\n"
    (FOLDER / f"{name}.md").write_text(text)
    rows = {"commit": _commit(), "machine": machine, "figures": [asdict(figure) for figure in figures]}
    (FOLDER / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    return text
