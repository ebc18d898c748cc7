"""Records of `logging`, and prints if requested, become lines of the current step's log."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from .process import process
from .steps import FOREIGN, Step, current

_MAX_LINES = 1000
"""Lines of one record."""


def install(logging_too: bool, prints_too: bool) -> None:
    """Handlers of loggers stay as they are, so that `logging.basicConfig` has its effect."""
    if logging_too and not hasattr(logging.Logger.callHandlers, "__rungraph__"):
        logging.Logger.callHandlers = _recording(logging.Logger.callHandlers)  # type: ignore[method-assign]
    if prints_too:
        sys.stdout = _Tee(sys.stdout, "stdout")
        sys.stderr = _Tee(sys.stderr, "stderr")


def _step() -> Step | None:
    step = current.get() or process.open
    return None if step is None or step.sent == FOREIGN else step


def _recording(original: Any) -> Any:
    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if record.name != "rungraph":
            try:
                if (step := _step()) is not None:
                    _record(step, record)
            except Exception as error:
                process.failed(error)
        original(self, record)

    call_handlers.__rungraph__ = True  # type: ignore[attr-defined]
    return call_handlers


def _record(step: Step, record: logging.LogRecord) -> None:
    text = record.getMessage()
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    lines = text.split("\n") if "\n" in text else [text]
    level = _level(record.levelno)
    for line in lines[:_MAX_LINES]:
        process.recorder.put((step, "logging", record.created, level, line))


def _level(number: int) -> str:
    if number >= logging.CRITICAL:
        return "CRITICAL"
    if number >= logging.ERROR:
        return "ERROR"
    if number >= logging.WARNING:
        return "WARNING"
    return "INFO" if number >= logging.INFO else "DEBUG"


class _Tee:
    """Writes to a stream, and records its lines."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        self._partial: dict[Step, str] = {}

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        try:
            if (step := _step()) is not None:
                self._record(step, text)
        except Exception as error:
            process.failed(error)
        return written

    def _record(self, step: Step, text: str) -> None:
        *lines, rest = (self._partial.pop(step, "") + text).split("\n")
        for line in lines:
            process.recorder.put((step, self._name, time.time(), None, line))
        if rest:
            self._partial[step] = rest
            while len(self._partial) > 100:
                self._partial.pop(next(iter(self._partial)), None)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
