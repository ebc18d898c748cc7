"""Owns how logs look: one line an entry, to standard error, with nothing secret in it.

What the libraries have to say comes the same way, from warnings on: below that they repeat addresses,
headers and messages as clients sent them.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["auto", "text", "json"]

_CREDENTIALS = re.compile(r"://\S*@")
_QUERY = re.compile(r"(://[^\s?]*)\?\S*")

_QUOTED = re.compile(r"""["'].*["']""")
"""From the first quotation mark to the last one. What is quoted is what somebody sent, more often than not;
which mark ends which part cannot be known."""

_ARGUMENT = re.compile(r"(invalid input for query argument \$\d+):.*")
"""How the driver of PostgreSQL says that it cannot encode a value, with the value as Python shows it."""

_OF_THE_SYSTEM = re.compile(r"(\w+: )?(Multiple exceptions: )?\[Errno -?\d+\]")
"""An error of the operating system's: what it quotes are addresses and files."""


def configure_logs(level: str, format: LogFormat = "auto", **always: object) -> None:
    """Log from `level` on (debug, info, warning or error), as text for people or as JSON; `auto` is text on
    a terminal. `always` is in every line."""
    as_text = format == "text" or (format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _adding(always),
            _keep_secrets,
            _text() if as_text else _json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if as_text
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
    )
    logging.basicConfig(handlers=[_OfLibraries()], level=logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _note_the_end


def _adding(always: dict[str, object]) -> Processor:
    def add(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
        return {**entry, **always}

    return add


def _text() -> Processor:
    # The richer tracebacks show variables; ours are made already.
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _json(logger: WrappedLogger, method: str, entry: EventDict) -> bytes:
    entry = {**{key: entry.pop(key) for key in ("timestamp", "level", "event")}, **entry}
    try:
        return orjson.dumps(entry, default=str)
    except TypeError:  # half of a surrogate pair, or a number of more than 64 bits
        return json.dumps(entry, default=str).encode()


def _keep_secrets(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
    """Takes out of an entry what whoever wrote it could not know to be in it."""
    for key, value in entry.items():
        if type(value) is str:
            entry[key] = _of_exception(value) if key == "reason" else _printable(value)
    if error := _error(entry.pop("exc_info", None)):
        entry["exception"] = _without_credentials("\n\n".join(_tracebacks(error)))
    return entry


def _printable(text: str) -> str:
    """The text in one line that no terminal takes for orders."""
    if "://" in text:
        text = _without_credentials(text)
    return text if text.isprintable() else repr(text)[1:-1]


def _without_credentials(text: str) -> str:
    return _QUERY.sub(r"\1?…", _CREDENTIALS.sub("://…@", text))


def _of_exception(text: str) -> str:
    """What may be known of the text of an exception: neither values, nor the lines in which databases and
    libraries give details."""
    line = text.partition("\n")[0]
    if not _OF_THE_SYSTEM.match(line):
        line = _QUOTED.sub("'…'", _ARGUMENT.sub(r"\1", line))
    return _printable(line)


def _error(given: Any) -> BaseException | None:
    """The exception that `exc_info` means."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exception() if given else None


def _tracebacks(error: BaseException) -> Iterator[str]:
    """What led to the exception, from the first one on: where each was raised, and what it is."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _tracebacks(earlier)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _tracebacks(each)
    frames = "".join(traceback.format_tb(error.__traceback__))
    said = f"{type(error).__qualname__}: {_of_exception(str(error))}".removesuffix(": ")
    yield f"Traceback (most recent call last):\n{frames}{said}"


class _OfLibraries(logging.Handler):
    """Passes on what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        tell: Callable[..., None] = log.error if record.levelno >= logging.ERROR else log.warning
        try:
            text = record.getMessage()
        except Exception:  # its arguments do not fit
            text = str(record.msg)
        tell(_of_exception(text), logger=record.name, exc_info=record.exc_info)


def _note_the_end(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """Says by what the process ends that nobody caught."""
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
    else:
        structlog.get_logger("rungraph").critical("ended by an error", exc_info=error)
