"""`Aborted`, and how exceptions are recorded."""

from __future__ import annotations

import os
import sys
import types

from .steps import clean

_HERE = os.path.dirname(os.path.abspath(__file__))
_MAX_MESSAGE = 200_000
_MAX_FRAMES = -60
_SIGNALS = {130, 143}
"""Exit codes of programs that end by SIGINT and SIGTERM."""


class Aborted(BaseException):
    """An abort of the step, or of one above it, was requested. Raised when a step begins or ends."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "aborted")
        self.reason = reason


def phase_of(error: BaseException) -> str:
    """The phase in which the exception ends a step."""
    if isinstance(error, SystemExit):
        if error.code is None or error.code == 0:
            return "SUCCEEDED"
        return "ABORTED" if error.code in _SIGNALS else "FAILED"
    if isinstance(error, (Aborted, KeyboardInterrupt)) or type(error).__name__ == "CancelledError":
        return "ABORTED"
    return "FAILED"


def described(error: BaseException) -> tuple[str, str]:
    """The code and message of the error: its type, and its traceback without frames of the client."""
    kind = type(error)
    module = kind.__module__
    code = kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"
    if isinstance(error, SystemExit):
        return code, f"SystemExit: {clean(str(error.code))}"
    import traceback

    without_own_frames(error)
    try:
        message = "".join(
            traceback.format_exception(kind, error, error.__traceback__, limit=_MAX_FRAMES)
        ).rstrip()
    except Exception:  # such as an error in __str__
        message = code
    return clean(code)[:255], clean(shortened(message))


def kind_of(message: str) -> str:
    """What messages have in common that differ in numbers and times only."""
    return "".join([each for each in message if not each.isdecimal()])


def shortened(message: str) -> str:
    """The message without its middle, if it is too long for the server."""
    if len(message) <= _MAX_MESSAGE:
        return message
    return message[: _MAX_MESSAGE // 2] + "\n…\n" + message[-_MAX_MESSAGE // 2 :]


def without_own_frames(error: BaseException | None) -> None:
    """Removes the frames of the client from the traceback, and from those of its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if _has_own_frames(error.__traceback__):
            error.__traceback__ = _stripped(error.__traceback__)
        error = error.__cause__ or error.__context__


def _is_own(frame: types.TracebackType) -> bool:
    return frame.tb_frame.f_code.co_filename.startswith(_HERE)


def _has_own_frames(frame: types.TracebackType | None) -> bool:
    while frame is not None:
        if _is_own(frame):
            return True
        frame = frame.tb_next
    return False


def _stripped(first: types.TracebackType | None) -> types.TracebackType | None:
    kept = []
    while first is not None:
        if not _is_own(first):
            kept.append(first)
        first = first.tb_next
    result: types.TracebackType | None = None
    for frame in reversed(kept):
        result = types.TracebackType(result, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return result


def hide_own_frames() -> None:
    """Uncaught exceptions are printed as without the client."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
        try:
            without_own_frames(error)
            trace = error.__traceback__
        except Exception:
            pass
        before(kind, error, trace)

    if before is sys.__excepthook__:
        sys.excepthook = hook
