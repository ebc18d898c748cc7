"""Owns what all commands do alike: read the settings, and end with one line that says why."""

from typing import NoReturn

import typer
from pydantic import ValidationError

from graph.settings import Settings, explain


def read_settings(**given: object) -> Settings:
    """The settings, with those that are given (not None) instead of the environment's. Ends the command where
    they are wrong."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        fail(explain(error), 2)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the command with this exit code."""
    typer.echo(f"rungraph: {message}", err=True)
    raise typer.Exit(code)
