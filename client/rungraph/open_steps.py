"""The steps that are open in each child process of a run, on the disk. If the process is killed, another one
of the run ends them, and a repeated call is their next attempt."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .retries import Retries
from .spool import Record, Spool, orphans
from .steps import FOREIGN, NO_SPEC, Run, Spec, Step

_LIMIT = 1_000_000
"""Bytes of a file. Beyond them it is written again, without steps that have ended."""
_ENDED = ("PROCESS_ENDED", "the process ended before the step did")


class OpenSteps:
    """Those of this process, and of processes that were killed. Its methods never raise."""

    def __init__(self, retries: Retries, failed: Callable[[Exception], None]) -> None:
        self._retries, self._failed = retries, failed
        self._lock = threading.RLock()
        self._spools: dict[Run, Spool] = {}
        self._records: dict[Step, Record] = {}
        """What the files say of the steps that are open."""
        self._keys: dict[Step, str | None] = {}

    def begin(self, step: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The step is open from now on. Its arguments may identify a retry."""
        if sys.platform == "win32":  # has no locks that tell which processes live
            return
        key = None
        if step.parent is not None and step.parent.sent == FOREIGN:
            key = self._retries.key(step.spec, step.parent, args, kwargs)
        with self._lock:
            self._keys[step] = key
            self.next_attempt(step)

    def next_attempt(self, step: Step) -> None:
        """The next attempt of the step is open."""
        parent = step.parent.name if step.parent is not None else None
        with self._lock:
            if step not in self._keys:
                return
            key = self._keys[step]
            state = [step.name, step.attempt, parent, step.spec.name, step.spec.function, step.started, key]
            self._records[step] = "open", json.dumps(state).encode()
            self._append(step.run, self._records[step])

    def end(self, step: Step) -> None:
        """The step has ended."""
        with self._lock:
            if self._records.pop(step, None) is not None:
                del self._keys[step]
                self._append(step.run, ("ended", json.dumps([step.name]).encode()))

    def _append(self, run: Run, record: Record) -> None:
        try:
            if (spool := self._spools.get(run)) is None:
                spool = self._spools[run] = Spool(self._retries.folder_of(run), _LIMIT)
            if not self._records:
                spool.advance(spool.end)
            elif not spool.append([record]):
                spool.advance(spool.end)
                spool.append([record for step, record in self._records.items() if step.run is run])
        except OSError as error:
            self._failed(error)

    def end_lost(self, run: Run, put: Callable[[Step], None]) -> None:
        """Ends the steps of processes of the run that were killed; of several processes one does."""
        try:
            for spool in orphans(self._retries.folder_of(run)):
                try:
                    for step, key in _open_in(spool, run):
                        put(step)
                        if key is not None and not run.has_ended:
                            self._retries.write(step, key)
                finally:
                    spool.advance(spool.end)
                    spool.close()
        except (OSError, ValueError, TypeError) as error:
            self._failed(error)

    def close(self, abandon: bool = False) -> None:
        """The process ends. In a forked child, the files are left to the parent process."""
        for spool in self._spools.values():
            (spool.abandon if abandon else spool.close)()


def _open_in(spool: Spool, run: Run) -> Iterator[tuple[Step, str | None]]:
    """The steps of the file as failed now, with what identifies a retry."""
    states: dict[str, list[Any]] = {}
    records, _ = spool.peek(2 * _LIMIT)
    for kind, body in records:
        state = json.loads(body)
        states.pop(state[0], None)
        if kind == "open":
            states[state[0]] = state
    for name, attempt, parent, label, function, started, key in states.values():
        above = Step(run, None, parent, 1, NO_SPEC)
        step = Step(run, above, name, attempt, Spec(label, function, None, False, False))
        step.started, step.ended = started, time.time()
        step.phase, step.error = "FAILED", _ENDED
        yield step, key
