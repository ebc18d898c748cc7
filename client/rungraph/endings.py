"""How a process ends: normally, by SIGTERM, or as a child of multiprocessing."""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
import time
from typing import Any

from . import aborts
from .errors import described, hide_own_frames, phase_of
from .process import process
from .steps import FOREIGN

_finalized_pid = 0


def install() -> None:
    """What happens at the end of the process. Signals that the script handles itself stay as they are."""
    atexit.register(_at_exit)
    os._exit = _recording(os._exit)
    hide_own_frames()
    if threading.current_thread() is threading.main_thread() and not _is_multiprocessing_child():
        try:
            if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
                signal.signal(signal.SIGTERM, _on_sigterm)
        except ValueError:
            pass  # not the main thread of the main interpreter


def _is_multiprocessing_child() -> bool:
    module = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def after_fork() -> None:
    """Forked children end by SIGTERM at once. Handlers in Python run late: a worker of a pool could wait
    for ever for a lock that another one held when it was terminated."""
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def finalize_child() -> None:
    """Children of multiprocessing end without `atexit`."""
    global _finalized_pid
    if _finalized_pid != os.getpid() and "multiprocessing.util" in sys.modules:
        _finalized_pid = os.getpid()
        from multiprocessing import util

        util.Finalize(None, _at_exit, exitpriority=10)


def _close_open_steps(phase: str, code: str, message: str) -> None:
    """Ends all steps of this process, since it ends."""
    for run in [*process.runs, *process.ended]:
        for step in reversed(list(run.open)):
            if step.sent != FOREIGN and step.phase == "RUNNING":
                step.ended, step.phase = time.time(), phase
                step.error = None if phase == "SUCCEEDED" else (code, message)
                if phase != "FAILED":
                    process.open_steps.end(step)  # no call is its next attempt
                run.open.pop(step, None)
                process.recorder.put(step)
        if run.is_owner:
            run.has_ended = True
        if run.aborts:
            aborts.settle(run, process.recorder.put)


def _at_exit() -> None:
    try:
        _close_open_steps("FAILED", "PROCESS_ENDED", "the process ended before the step did")
        process.open_steps.close()
        process.sender.close()
    except Exception as error:
        process.failed(error)


def _recording(original: Any) -> Any:
    """`os._exit`, which runs nothing else at the end of the process."""

    @functools.wraps(original)
    def exit(status: int) -> None:
        try:
            if process.sender.is_running:
                end = SystemExit(status)
                _close_open_steps(phase_of(end), *described(end))
                process.open_steps.close()
                process.sender.close()
        except Exception:
            pass
        original(status)

    return exit


def _on_sigterm(number: int, frame: Any) -> None:
    """Reports what is open as ABORTED, and ends the process by the signal, as without the client."""
    try:
        _close_open_steps("ABORTED", "SIGTERM", "the process was terminated")
        process.sender.close()
    except Exception:
        pass
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
