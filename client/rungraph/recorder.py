"""The queue between the script and the sender: steps and lines of logs, which become records of JSON."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from .spool import Record, Spool
from .steps import ENDED, FOREIGN, QUEUED, REPORTED, Step, clean, name_of, quote

LIMIT = 20_000
"""Entries of the queue. Beyond it the script's threads move entries to the disk."""
_SPILLED = 256
_MAX_LINES = 250
"""Of a call: together they have at most half of the bytes that a server takes by default."""
_MAX_LINE = 16_000

LogEntry = tuple[Step, str, float, "str | None", str]
"""A step, a stream, a time, a level and a line."""


class Recorder:
    """Keeps what is to be sent. `put` is called by the script's threads; all else takes `lock`."""

    def __init__(self, spool: Spool, lost: Callable[[str], None]) -> None:
        self.queue: deque[Any] = deque()
        self.spool = spool
        self.lock = threading.RLock()
        self.in_flight: list[Record] | None = None
        """Records that are being sent and are not on the disk."""
        self.in_flight_end: int | None = None
        """Where they end on the disk, once they are there too."""
        self.is_idle = False
        self.wake = threading.Event()
        self._lost = lost
        self.loses = False
        """Whether something could not be kept on the disk."""

    def put(self, entry: Any) -> None:
        """Adds a step that changed, an entry of a log, or a record."""
        self.queue.append(entry)
        if self.is_idle:
            self.is_idle = False
            self.wake.set()
        if len(self.queue) > LIMIT:
            with self.lock:
                self._move(_SPILLED)

    def take(self, limit: int) -> list[Record]:
        """Removes up to so many entries, and returns them as records."""
        reports: list[Record] = []
        logs: dict[tuple[Step, str], list[LogEntry]] = {}
        others: list[Record] = []
        with self.lock:
            for _ in range(limit):
                try:
                    entry = self.queue.popleft()
                except IndexError:
                    break
                if type(entry) is Step:
                    if (body := report(entry)) is not None:
                        reports.append(("report", body))
                elif len(entry) == 2:
                    others.append(entry)
                else:
                    logs.setdefault(entry[:2], []).append(entry)
            for (step, stream), entries in logs.items():
                for first in range(0, len(entries), _MAX_LINES):
                    reports.append(("log", _append(step, stream, entries[first : first + _MAX_LINES])))
        return reports + others

    def move_to_disk(self) -> None:
        """Moves everything to the disk, what is being sent too."""
        with self.lock:
            while self.queue or (self.in_flight and self.in_flight_end is None):
                self._move(1000)

    def _move(self, limit: int) -> None:
        if self.in_flight and self.in_flight_end is None:
            self._append(self.in_flight)
            self.in_flight_end = self.spool.end
        self._append(self.take(limit))

    def _append(self, records: list[Record]) -> None:
        try:
            if records and not self.spool.append(records):
                self._lose(f"the spool is full ({self.spool.path}): reports are lost")
        except OSError as error:
            self._lose(f"cannot write to the spool: reports are lost ({error})")

    def _lose(self, message: str) -> None:
        self.loses = True
        self._lost(message)

    def send(self, limit: int, deliver: Callable[[list[Record]], None]) -> bool:
        """Delivers some records; whether there were any. If `deliver` raises, they are kept on the disk."""
        with self.lock:
            if not self.spool.is_empty():
                self.move_to_disk()
                try:
                    records, end = self.spool.peek(1_000_000)
                except OSError as error:
                    self._lose(f"cannot read the spool: reports are lost ({error})")
                    records, end = [], self.spool.end
                    self.spool.advance(end)
                self.in_flight, self.in_flight_end = None, None
            else:
                self.in_flight, self.in_flight_end = self.take(limit), None
                records = self.in_flight
        try:
            if records:
                deliver(records)
        except BaseException:
            self.move_to_disk()
            raise
        else:
            with self.lock:
                position = end if self.in_flight is None else self.in_flight_end
                if position is not None:
                    self.spool.advance(position)
        finally:
            self.in_flight, self.in_flight_end = None, None
        return bool(records)


def utc(seconds: float) -> str:
    """The time as JSON."""
    return f'"{datetime.fromtimestamp(seconds, timezone.utc).isoformat()}"'


def identifier(step: Step) -> str:
    """The identifier of the step's action, as JSON."""
    return f"{step.run.prefix}{quote(step.name)}}}"


def report(step: Step) -> bytes | None:
    """What is new about the step since the last call, as a ReportInput; None if nothing is."""
    phase = step.phase
    if step.sent in (ENDED, FOREIGN):
        phase = ""
    elif phase == "RUNNING" and step.sent == REPORTED:
        phase = ""
    parts = [f'{{"id":{identifier(step)},"attempt":{step.attempt}']
    if phase:
        if step.sent == QUEUED and step.attempt == 1:
            parts.append(f',"details":{_details(step)}')
        parts.append(f',"phase":"{phase}","startTime":{utc(step.started)}')
        step.run.is_known = True
        if phase == "RUNNING":
            step.sent = REPORTED
        else:
            step.sent = ENDED
            parts.append(f',"endTime":{utc(max(step.ended, step.started))}')
            if step.error is not None:
                code, message = step.error
                parts.append(f',"error":{{"kind":"USER","code":{quote(code)},"message":{quote(message)}}}')
    if (progress := step.done) is not None:
        step.done = None
        done, total, text, at = progress
        value: dict[str, Any] = {"done": done, "total": total}
        if text is not None:
            value["message"] = clean(str(text))[:4096]
        parts.append(f',"progress":{json.dumps(value)},"reportedAt":{utc(at)}')
    if step.values:
        values = step.values[:]
        del step.values[: len(values)]  # the script may add to it meanwhile
        parts.append(f',"metrics":[{",".join(_metric(*each) for each in values)}]')
    if not phase and len(parts) == 1:
        return None
    parts.append("}")
    return "".join(parts).encode()


def _details(step: Step) -> str:
    more = step.spec.details
    if step.spec.function is not None:
        more += f',"functionName":{quote(step.spec.function)}'
    if step.parent is None:
        labels = json.dumps([{"key": key, "value": value} for key, value in step.run.labels.items()])
        return f'{{"source":"TRACKED"{more},"labels":{labels},"createdAt":{utc(step.started)}}}'
    return f'{{"parentName":{quote(step.parent.name)}{more},"createdAt":{utc(step.started)}}}'


def _metric(name: str, value: float, unit: str | None, at: float) -> str:
    tail = "" if unit is None else f',"unit":{quote(clean(str(unit)))}'
    return f'{{"name":{quote(name_of(name))},"value":{value!r}{tail},"at":{utc(at)}}}'


def _append(step: Step, stream: str, entries: list[LogEntry]) -> bytes:
    if step.offsets is None:
        step.offsets = {}
    offset = step.offsets.get(stream, 0)
    step.offsets[stream] = offset + len(entries)
    lines = ",".join(
        f'{{"text":{quote(clean(text)[:_MAX_LINE])},"at":{utc(at)}'
        + (f',"level":"{level}"}}' if level else "}")
        for _, _, at, level, text in entries
    )
    head = f'{{"action":{identifier(step)},"attempt":{step.attempt},"stream":"{stream}","offset":{offset}'
    return f'{head},"lines":[{lines}]}}'.encode()
