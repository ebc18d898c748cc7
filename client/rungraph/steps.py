"""Runs and steps as they are recorded in this process, and the step that is current."""

from __future__ import annotations

import contextvars
import json
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

QUEUED, REPORTED, ENDED, FOREIGN = range(4)
"""What was reported of a step. A foreign one belongs to another process, which reports it."""

quote = json.encoder.encode_basestring_ascii
_NUMBERED = re.compile(r"(.+)-(\d+)\Z", re.DOTALL)
_MAX_NAME = 200
_MAX_METRICS = 10_000
"""Values of metrics that wait to be sent."""
_MAX_FAILED = 128
"""Failed steps of a parent whose next attempt is recognized."""


def clean(text: str) -> str:
    """The text without what the server refuses: U+0000 and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def name_of(value: object) -> str:
    """The value as the name of an action or a run: printable, and short enough for a suffix."""
    text = clean(str(value))
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return text.strip()[:_MAX_NAME] or "step"


def suffix() -> str:
    """Makes the names of a process differ from those of others in its run."""
    return "-" + os.urandom(3).hex()


class Run:
    """A run that this process begins, or in which it has steps below those of its parent process."""

    def __init__(self, project: str, domain: str, name: str, executor: str, suffix: str = "") -> None:
        self.project, self.domain, self.name, self.executor = project, domain, name, executor
        self.suffix = suffix
        """Distinguishes the names of this process from those of others; empty where the run began."""
        self.is_owner = not suffix
        self.is_explicit = False
        """Whether it began by `begin()`: its steps are no parents of others by themselves."""
        self.is_known = bool(suffix)
        """Whether the server may know it, since a report of it was sent."""
        self.has_lease = False
        """Whether this process has requested its lease."""
        self.has_ended = False
        self.labels: dict[str, str] = {}
        self.lock = threading.Lock()
        self.names: dict[str, int] = {}
        self.open: dict[Step, None] = {}
        """Its steps in this process that have not ended, the oldest first."""
        self.aborts: dict[str, str] = {}
        """The reasons of unconfirmed aborts, by the name of the action."""
        self.mine: set[str] = set()
        """Those of `aborts` whose action is a step of this process."""
        self.prefix = f'{{"project":{quote(project)},"domain":{quote(domain)},"runName":{quote(name)},"name":'
        """The beginning of an identifier of an action, as JSON."""

    def identifier(self) -> dict[str, str]:
        return {"project": self.project, "domain": self.domain, "name": self.name}

    def unique_name(self, base: str) -> str:
        """A name that no other action of the run has."""
        base += self.suffix
        with self.lock:
            number = self.names.get(base, 0)
            if not number and (match := _NUMBERED.match(base)):
                # The number may have been assigned to an action with the shorter name.
                if int(match[2]) <= self.names.get(match[1], 0):
                    base += "-1"
                    number = self.names.get(base, 0)
            number += 1
            while number > 1 and f"{base}-{number}" in self.names:
                number += 1
            self.names[base] = number
        return base if number == 1 else f"{base}-{number}"


class Spec:
    """What is the same for all steps of a tracked function or block."""

    __slots__ = ("details", "function", "is_run", "labels", "name", "outputs", "retry")

    def __init__(
        self,
        name: str,
        function: str | None,
        retry: bool | None,
        outputs: bool,
        is_run: bool,
        labels: Any = None,
    ) -> None:
        self.name, self.function, self.retry = name, function, retry
        self.outputs, self.is_run = outputs, is_run
        self.labels = labels
        """Those of runs that begin with it: a mapping, or a function that returns it for the arguments."""
        self.details = ""
        """More fields of an ActionDetailsInput, as JSON that begins with a comma."""


NO_SPEC = Spec("", None, False, False, False)
"""Of steps that this process does not report."""


class Step:
    """An attempt of an action: a call of a tracked function, or a block. Its methods never raise."""

    __slots__ = (
        "aborted_task", "artifacts", "attempt", "done", "ended", "error", "failed", "key", "name", "offsets",
        "on_abort", "parent", "phase", "run", "sent", "spec", "started", "task", "values",
    )  # fmt: skip

    def __init__(self, run: Run, parent: Step | None, name: str, attempt: int, spec: Spec) -> None:
        self.run, self.parent, self.name, self.attempt, self.spec = run, parent, name, attempt, spec
        self.phase = "RUNNING"
        self.sent = QUEUED
        self.error: tuple[str, str] | None = None
        """A code and a message."""
        self.failed: dict[Any, tuple[str, int, object]] | None = None
        """Failed steps below it by what identifies a retry: name, attempt and what keeps the identity."""
        self.key: tuple[Any, object] | None = None
        self.done: tuple[float, float | None, str | None, float] | None = None
        self.values: list[tuple[str, float, str | None, float]] | None = None
        self.offsets: dict[str, int] | None = None
        """How many lines of each stream of its log were recorded."""
        self.task: Any = None
        """Its task of asyncio."""
        self.aborted_task = False
        self.on_abort: Callable[[str], object] | None = None
        self.ended = 0.0
        self.started = time.time()

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Reports how much is done, in any unit."""
        try:
            if math.isfinite(done) and (total is None or math.isfinite(total)):
                self.done = (float(done), None if total is None else float(total), message, time.time())
                _changed(self)
        except Exception as error:
            _failed(error)

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        """Reports a number, such as `rows`; a unit is `1`, `s`, `By` and the like."""
        try:
            if self.values is None:
                self.values = []
            if len(self.values) < _MAX_METRICS and math.isfinite(value):
                self.values.append((str(name), float(value), unit, time.time()))
                _changed(self)
        except Exception as error:
            _failed(error)

    def artifact(self, name: str, value: object, kind: str = "FILE", media_type: str | None = None) -> None:
        """Stores text, bytes, a JSON value, or the file of an `os.PathLike`, which must stay as it is until
        it is sent. Kinds: INPUTS, OUTPUTS, REPORT, FILE."""
        try:
            from .artifacts import artifact_record

            _changed(artifact_record(self, name, value, kind, media_type))
        except Exception as error:
            _failed(error)

    def log(self, text: str, level: str | None = None, stream: str = "log", at: float | None = None) -> None:
        """Appends lines to its log. Levels: DEBUG, INFO, WARNING, ERROR, CRITICAL."""
        try:
            at = time.time() if at is None else at
            for line in str(text).splitlines():
                _changed((self, stream, at, level, line))
        except Exception as error:
            _failed(error)

    def end(
        self,
        phase: str = "SUCCEEDED",
        code: str | None = None,
        message: str | None = None,
        at: float | None = None,
    ) -> None:
        """Ends a step that `begin()` began, in a terminal phase, with an error if there is a message."""
        from .explicit import end

        end(self, phase, code, message, at)

    def next_attempt(self, at: float | None = None) -> Step:
        """Begins the next attempt of its action, after the step has ended as failed."""
        from .explicit import next_attempt

        return next_attempt(self, at)

    def chain(self) -> Iterator[Step]:
        """The step and all above it."""
        step: Step | None = self
        while step is not None:
            yield step
            step = step.parent

    def parent_variable(self) -> str:
        """RUNGRAPH_PARENT for child processes whose steps belong below this one."""
        run = self.run
        value = {
            "project": run.project,
            "domain": run.domain,
            "run": run.name,
            "path": [each.name for each in self.chain()][::-1],
            "executor": run.executor,
        }
        return json.dumps(value, separators=(",", ":"))

    def remember_failure(self, below: Step) -> None:
        """A later step with the same key is the next attempt of this one."""
        if below.key is not None:
            failed = self.failed if self.failed is not None else {}
            key, keeping = below.key
            failed[key] = (below.name, below.attempt, keeping)
            if len(failed) > _MAX_FAILED:
                failed.pop(next(iter(failed)), None)
            self.failed = failed


class NoStep(Step):
    """Stands for the current step where nothing is recorded."""

    __slots__ = ()

    def __init__(self) -> None:
        pass

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        pass

    def metric(self, name: str, value: float, unit: str | None = None) -> None:
        pass

    def artifact(self, name: str, value: object, kind: str = "FILE", media_type: str | None = None) -> None:
        pass

    def log(self, text: str, level: str | None = None, stream: str = "log", at: float | None = None) -> None:
        pass

    def end(
        self,
        phase: str = "SUCCEEDED",
        code: str | None = None,
        message: str | None = None,
        at: float | None = None,
    ) -> None:
        pass

    def next_attempt(self, at: float | None = None) -> Step:
        return self


NO_STEP = NoStep()

current: contextvars.ContextVar[Step | None] = contextvars.ContextVar("rungraph_step", default=None)

_changed: Callable[[Any], None] = lambda _: None  # noqa: E731
_failed: Callable[[Exception], None] = lambda _: None  # noqa: E731


def connect(changed: Callable[[Any], None], failed: Callable[[Exception], None]) -> None:
    """Where steps put what changed, and errors of the client itself."""
    global _changed, _failed
    _changed, _failed = changed, failed
