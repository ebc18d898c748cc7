"""Shared by all commands: reading settings and durations, and ending with a one-line error."""

import contextlib
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

import typer

if TYPE_CHECKING:
    from graph.settings import Settings

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def read_settings(**overrides: object) -> "Settings":
    """The settings from the environment, overridden by arguments that are not None; configures logging. Ends
    the command if they are invalid."""
    from pydantic import ValidationError

    from graph.observability.logs import configure_logs
    from graph.settings import Settings, explain

    try:
        settings = Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        fail(explain(error), 2)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def parse_duration(value: str) -> timedelta:
    """Parses a duration such as `90d`, `12h` or `2w`. Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", value, re.ASCII)
    if found is None:
        raise ValueError("a number of hours, days or weeks, such as 12h, 90d or 26w")
    return int(found[1]) * _UNITS[found[2]]


def fail(message: str, code: int = 1) -> NoReturn:
    """Ends the command with this exit code."""
    with contextlib.suppress(OSError):  # the exit code says it too
        typer.echo(f"rungraph: {message}", err=True)
    raise typer.Exit(code)


def announce(text: str) -> None:
    """Prints an informational line; a closed output is ignored."""
    with contextlib.suppress(OSError):
        typer.echo(text)
