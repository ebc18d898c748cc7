"""Logging: one line per entry to standard error, without secrets. Libraries are logged from WARNING on,
since below that they repeat addresses, headers and messages of clients. Logging never raises and never
blocks."""

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

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from graph.observability.log_output import LogOutput

LogFormat = Literal["auto", "text", "json"]

_CREDENTIALS = re.compile(r"://\S*@")
_QUERY = re.compile(r"(://[^\s?]*)\?\S*")

_QUOTED = re.compile(r"""["'].*["']""")
"""From the first quotation mark to the last: quoted text is usually a client's, and the marks cannot be
paired reliably."""

_ARGUMENT = re.compile(r"(invalid input for query argument \$\d+):.*")
"""asyncpg's message about a value that it cannot encode, which contains the value's repr."""

_SYSTEM_ERROR = re.compile(r"(\w+: )?(Multiple exceptions: )?\[Errno -?\d+\]")
"""An error of the operating system: it quotes addresses and file names."""


_output: LogOutput | None = None


def configure_logs(level: str, format: LogFormat = "auto", **bound: object) -> None:
    """Configures logging from `level` on (debug, info, warning or error), as text or JSON; `auto` is text on
    a terminal. `bound` is added to every line."""
    global _output
    flush_logs()
    _open_standard_streams()
    output = _output = LogOutput(sys.stderr, _report_dropped)
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    as_text = format == "text" or (format == "auto" and on_terminal)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            lambda logger, method, entry: {**entry, **bound},
            _remove_secrets,
            _text(on_terminal) if as_text else _json,
        ],
        wrapper_class=_safe_logger(logging.getLevelNamesMapping()[level.upper()], output),
        logger_factory=lambda *_: output,
    )
    logging.basicConfig(handlers=[_LibraryHandler()], level=logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_uncaught_in_thread


@atexit.register
def flush_logs(seconds: float = 1.0) -> None:
    """Waits until all lines are written, up to a time limit in seconds."""
    if _output is not None:
        _output.flush(seconds)


def dropped_log_lines() -> int:
    """The number of lines dropped since logging was configured."""
    return 0 if _output is None else _output.dropped


def _open_standard_streams() -> None:
    """Opens closed standard streams to /dev/null. Otherwise the next file or connection would get their
    descriptor, and with it what a library writes to standard error."""
    with contextlib.suppress(OSError):
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(descriptor, True)
        os.close(descriptor)


def _report_dropped(count: int) -> None:
    structlog.get_logger("rungraph.logs").warning("log lines could not be written", count=count)


def _safe_logger(level: int, output: LogOutput) -> type[Any]:
    """A logger that never raises: values that cannot be formatted are left out."""
    filtering: type[Any] = structlog.make_filtering_bound_logger(level)

    class Logger(filtering):  # type: ignore[misc]
        def _proxy_to_logger(self, method: str, event: str | None = None, **values: Any) -> Any:
            try:
                try:
                    return super()._proxy_to_logger(method, event, **values)
                except Exception as error:  # a value that cannot be formatted
                    return super()._proxy_to_logger(method, event, left_out=type(error).__name__)
            except Exception:  # a failure to log must not affect the caller
                output.drop()

    return Logger


def _text(colors: bool) -> Processor:
    # Rich tracebacks would show variables; ours are already formatted.
    plain = structlog.dev.plain_traceback
    render = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
    return lambda logger, method, entry: render(logger, method, entry).encode(errors="backslashreplace")


def _json(logger: WrappedLogger, method: str, entry: EventDict) -> bytes:
    entry = {**{key: entry.pop(key) for key in ("timestamp", "level", "event")}, **entry}
    try:
        return msgspec.json.encode(entry, enc_hook=str)
    except (TypeError, ValueError):  # half of a surrogate pair, or a key that is no text
        return json.dumps(entry, default=str).encode()


def _remove_secrets(logger: WrappedLogger, method: str, entry: EventDict) -> EventDict:
    """Removes possible secrets from an entry."""
    for key, value in entry.items():
        if type(value) is str:
            entry[key] = _exception_message(value) if key == "reason" else _printable(value)
    if error := _error(entry.pop("exc_info", None)):
        entry["exception"] = _without_credentials("\n\n".join(_tracebacks(error)))
    return entry


def _printable(text: str) -> str:
    """The text as one line, without terminal control sequences."""
    if "://" in text:
        text = _without_credentials(text)
    return text if text.isprintable() else repr(text)[1:-1]


def _without_credentials(text: str) -> str:
    return _QUERY.sub(r"\1?…", _CREDENTIALS.sub("://…@", text))


def _exception_message(text: str) -> str:
    """The part of an exception's message that may be logged: no values, and no detail lines of databases and
    libraries."""
    line = text.partition("\n")[0]
    if not _SYSTEM_ERROR.match(line):
        line = _QUOTED.sub("'…'", _ARGUMENT.sub(r"\1", line))
    return _printable(line)


def _error(exc_info: Any) -> BaseException | None:
    """The exception of `exc_info`."""
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return exc_info[1] if isinstance(exc_info[1], BaseException) else None
    return sys.exception() if exc_info else None


def _tracebacks(error: BaseException) -> Iterator[str]:
    """The chain of exceptions with their tracebacks, the first cause first."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _tracebacks(earlier)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _tracebacks(each)
    frames = "".join(traceback.format_tb(error.__traceback__))
    message = f"{type(error).__qualname__}: {_exception_message(str(error))}".removesuffix(": ")
    yield f"Traceback (most recent call last):\n{frames}{message}"


class _LibraryHandler(logging.Handler):
    """Forwards log records of libraries."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # arguments that do not match the format
            text = str(record.msg)
        log = structlog.get_logger(record.name)
        write: Callable[..., None] = log.error if record.levelno >= logging.ERROR else log.warning
        write(_exception_message(text), logger=record.name, exc_info=record.exc_info)

    def handle(self, record: logging.LogRecord) -> bool:
        try:
            return bool(super().handle(record))
        except Exception:  # a message that cannot be formatted
            if _output is not None:
                _output.drop()
            return False


def _log_uncaught(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """Logs the uncaught exception that ends the process."""
    if isinstance(error, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
    else:
        structlog.get_logger("rungraph").critical("ended by an error", exc_info=error)


def _log_uncaught_in_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None and not isinstance(ended.exc_value, SystemExit):
        structlog.get_logger("rungraph").error("a thread ended by an error", exc_info=ended.exc_value)


def _log_unraisable(found: "sys.UnraisableHookArgs") -> None:
    if found.exc_value is not None:
        structlog.get_logger("rungraph").error("an error that cannot be raised", exc_info=found.exc_value)
