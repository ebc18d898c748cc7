"""Writes the reference pages of docs/ from the code: settings, commands, error codes and metrics.

`make docs` runs it. With `--check` it writes nothing, and fails if a page is not current.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from graph.app import create_app
from graph.cli.main import app
from graph.errors import CODES
from graph.settings import PREFIX, Settings
from repo import RepoError, migrate

DOCS = Path(__file__).parent
NOTE = "<!-- Generated from the code by `make docs`. Do not edit. -->"


def settings_page() -> Iterator[str]:
    yield from (
        "# Settings",
        "",
        "Environment variables, read when a command starts. An invalid value ends the command with one",
        "line that names the variable and the reason. Commands that call a server have",
        "[variables of their own](terminal.md#the-server).",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    )
    for name, field in Settings.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
        shown = f"`{default}`" if default else "none"
        yield f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |"


def commands_page() -> Iterator[str]:
    root = typer.main.get_command(app)
    yield from ("# Commands", "", str(root.help), "", "In a checkout the program is `.venv/bin/rungraph`.")
    yield from _commands(root, root.make_context("rungraph", [], resilient_parsing=True))


def _commands(group: Any, context: Any) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inner = command.make_context(name, [], parent=context, resilient_parsing=True)
        if hasattr(command, "list_commands"):
            yield from _commands(command, inner)
            continue
        options = [each for each in command.params if each.name != "help"]
        arguments = [
            f" {each.metavar or str(each.name).upper()}{'…' if each.nargs < 0 else ''}"
            for each in options
            if each.param_type_name == "argument"
        ]
        usage = f"{inner.command_path}{' [OPTIONS]' * (len(options) > len(arguments))}{''.join(arguments)}"
        yield from ("", f"## `{inner.command_path}`", "", f"    {usage}", "")
        yield from str(command.help).splitlines()
        if options:
            yield from ("", "| | |", "|---|---|")
        for each in options:
            names = each.opts + each.secondary_opts
            shown = ", ".join(f"`{option}`" for option in names if option.startswith("-"))
            default = each.default
            if isinstance(default, str | int | float) and not isinstance(default, bool):
                shown += f" (default `{default}`)"
            required = " Required." if each.required and each.param_type_name == "option" else ""
            yield f"| {shown or f'`{each.metavar or str(each.name).upper()}`'} | {each.help}{required} |"


def errors_page() -> Iterator[str]:
    yield from (
        "# Error codes",
        "",
        "Each GraphQL error has one of these codes in `extensions.code` ([what to do](api.md#errors)).",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in CODES.items()),
        "",
        "## Errors of the repository",
        "",
        "Methods of `repo.ActionRepo` raise these; the API returns their message and code.",
        "",
        "| class | code | meaning |",
        "|---|---|---|",
    )
    yield from _errors(RepoError)


def _errors(error: type[RepoError], depth: int = 0) -> Iterator[str]:
    meaning = " ".join(str(error.__doc__).split())
    yield f"| {'· ' * depth}`{error.__name__}` | `{error.code}` | {meaning} |"
    for each in error.__subclasses__():
        if each.__module__ == RepoError.__module__:
            yield from _errors(each, depth + 1)


def metrics_page() -> Iterator[str]:
    yield from (
        "# Metrics",
        "",
        "`/metrics` serves these in the text format of Prometheus, for all workers of a server together.",
        "[Operations](operations.md#health-metrics-logs) has queries and alerts.",
        "",
        "| metric | labels | type | meaning |",
        "|---|---|---|---|",
    )
    for collector in asyncio.run(_collectors()):
        (metric,) = collector.describe()
        # The library has no public name for the labels of a metric that has no value yet.
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        yield f"| `{name}` | {labels} | {metric.type} | {metric.documentation} |"


async def _collectors() -> list[Any]:
    """All metrics that a server registers until it has started."""
    found: list[Any] = []
    register = CollectorRegistry.register

    def note(registry: CollectorRegistry, collector: Collector) -> None:
        found.append(collector)
        register(registry, collector)

    with tempfile.TemporaryDirectory() as folder, patch.object(CollectorRegistry, "register", note):
        url = f"sqlite:///{folder}/rungraph.db"
        await migrate(url)
        server = create_app(Settings(database_url=url))
        async with server.router.lifespan_context(server):
            pass
    return found


PAGES = {
    "settings.md": settings_page,
    "cli.md": commands_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
}


def main(check: bool) -> None:
    stale = []
    for name, page in PAGES.items():
        lines = [NOTE, "", *page()]
        if undescribed := [line for line in lines if line == "None" or line.endswith("| None |")]:
            sys.exit(f"docs/{name}: {undescribed[0]!r} has no description, help text or docstring")
        text = "\n".join(lines) + "\n"
        path = DOCS / name
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    if check and stale:
        sys.exit(f"docs/{', docs/'.join(stale)}: not current; run `make docs` and commit the result")


if __name__ == "__main__":
    main(check="--check" in sys.argv[1:])
