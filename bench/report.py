"""Owns how figures are written down: a table for people and JSON for programs."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    goal: str
    is_met: bool | None
    """None where nothing is promised of it."""
    note: str = ""


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


def write(figures: list[Figure], name: str) -> str:
    """The table, which is written beside this file too."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "# What was measured",
        "",
        f"Commit {_commit()}, {machine}: server, database and client share them. `make bench` writes it.",
        "A figure is good for comparing within one run; ratios are to the floor of the same run.",
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
