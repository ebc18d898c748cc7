"""Owns what all commands do alike: read the settings and durations, and end with one line that says why."""

import contextlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from graph.settings import Settings

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def read_settings(**given: object) -> "Settings":
    """The settings, with those that are given (not None) instead of the environment's; from here on, logs are
    as they say. Ends the command where they are wrong."""
    from pydantic import ValidationError

    from graph.observability.logs import configure_logs
    from graph.settings import Settings, explain

    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        fail(explain(error), 2)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def parse_duration(value: str) -> timedelta:
    """How long `90d`, `12h` or `2w` is. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", value, re.ASCII)
    if found is None:
        raise ValueError("a number of hours, days or weeks, such as 12h, 90d or 26w")
    return int(found[1]) * _UNITS[found[2]]


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with this exit code."""
    with contextlib.suppress(OSError):  # the exit code says it too
        typer.echo(f"rungraph: {message}", err=True)
    raise typer.Exit(code)


def announce(text: str) -> None:
    """Print a line that nothing depends on: a server does not end because nobody can read it."""
    with contextlib.suppress(OSError):
        typer.echo(text)
