"""Owns how logs look: one line an entry, to standard error, with nothing secret in it.

What the libraries have to say comes the same way, from warnings on: below that they repeat addresses,
headers and messages as clients sent them. To log never raises an error, and never waits.
"""

import atexit
import contextlib
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from graph.observability.log_output import LogOutput

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


_output: LogOutput | None = None


def configure_logs(level: str, format: LogFormat = "auto", **always: object) -> None:
    """Log from `level` on (debug, info, warning or error), as text for people or as JSON; `auto` is text on
    a terminal. `always` is in every line."""
    global _output
    flush_logs()
    _open_standard_streams()
    _output = LogOutput(sys.stderr, _report_dropped)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    as_text = format == "text" or (format == "auto" and on_terminal)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _adding(always),
            _keep_secrets,
            _text(on_terminal) if as_text else _json,
        ],
        wrapper_class=_never_raising(logging.getLevelNamesMapping()[level.upper()], _output),
        logger_factory=_factory(_output),
    )
    logging.basicConfig(handlers=[_OfLibraries()], level=logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _note_the_end
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _note_unraisable
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _note_end_of_thread


@atexit.register
def flush_logs(seconds: float = 1.0) -> None:
    """Wait until all lines are written, for so long at most."""
    if _output is not None:
        _output.flush(seconds)


def dropped_log_lines() -> int:
    """How many lines could not be written since logs were configured."""
    return 0 if _output is None else _output.dropped


def _open_standard_streams() -> None:
    """Open what of the standard streams is closed, to nowhere: else the next file or connection that is
    opened takes the place of one, and gets what a library writes to standard error."""
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)


def _report_dropped(count: int) -> None:
    structlog.get_logger("rungraph.logs").warning("log lines could not be written", count=count)


def _never_raising(level: int, output: LogOutput) -> type[Any]:
    """A logger whose caller never sees an error of its own: what cannot be put into a line is left out."""
    filtering: type[Any] = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]
        def _proxy_to_logger(self, method: str, event: str | None = None, **values: Any) -> Any:
            try:
                try:
                    return super()._proxy_to_logger(method, event, **values)
                except Exception as error:  # of a value that has no text
                    return super()._proxy_to_logger(method, event, left_out=type(error).__name__)
            except Exception:  # and nobody may fail of what could not be logged
                output.drop()

    return Logger


def _factory(output: LogOutput) -> Callable[..., LogOutput]:
    return lambda *_: output


def _adding(always: dict[str, object]) -> Processor:
    def add(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
        return {**entry, **always}

    return add


def _text(colors: bool) -> Processor:
    # The richer tracebacks show variables; ours are made already.
    plain = structlog.dev.plain_traceback
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
    return lambda logger, method, entry: render(logger, method, entry).encode(errors="backslashreplace")


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
        try:
            text = record.getMessage()
        except Exception:  # its arguments do not fit
            text = str(record.msg)
        log = structlog.get_logger(record.name)
        tell: Callable[..., None] = log.error if record.levelno >= logging.ERROR else log.warning
        tell(_of_exception(text), logger=record.name, exc_info=record.exc_info)

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            return bool(super().handle(record))
        except Exception:  # of a message that has no text
            if _output is not None:
                _output.drop()
            return False


def _note_the_end(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """Says by what the process ends that nobody caught."""
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
    else:
        structlog.get_logger("rungraph").critical("ended by an error", exc_info=error)


def _note_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        structlog.get_logger("rungraph").error("a thread ended by an error", exc_info=ended.exc_value)


def _note_unraisable(found: "sys.UnraisableHookArgs") -> None:
    if found.exc_value is not None:
        structlog.get_logger("rungraph").error("an error that cannot be raised", exc_info=found.exc_value)
