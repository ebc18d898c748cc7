"""Steps that begin and end where a program says so, for plugins of other tools."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from .errors import shortened
from .process import process
from .steps import FOREIGN, NO_STEP, Spec, Step, clean, current, name_of

_TERMINAL = {"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT", "RECOVERED", "SKIPPED"}


def begin(
    name: str,
    parent: Step | None = None,
    *,
    function: str | None = None,
    task: str | None = None,
    spec: object = None,
    dependencies: list[Step] | None = None,
    labels: dict[str, str] | None = None,
    at: float | None = None,
    on_abort: Callable[[str], object] | None = None,
) -> Step:
    """Begins a step below `parent`, or below the current step, or else a run. It ends by `step.end()`.

    Unlike a tracked call it is not current: nothing becomes a part of it by itself, and it raises no Aborted.
    `on_abort` is called with the reason, from a thread of the client, if it or one above it is aborted.
    `labels` are those of a run, `spec` is a JSON value, `at` the time in seconds since 1970. Never raises."""
    try:
        if parent is NO_STEP or not process.is_enabled or not (process.is_started or process.start()):
            return NO_STEP
        parent = parent or current.get() or process.open
        name = name_of(name)
        named = None if function is None else name_of(function)
        what = Spec(name, named, False, False, parent is None, labels)
        if parent is None:
            run = process.new_run(what, name, (), {})
            run.is_explicit = True
        else:
            run = parent.run
        what.details = _details(run.project, run.domain, task, spec, dependencies)
        step = Step(run, parent, run.unique_name(name), 1, what)
        step.started = time.time() if at is None else at
        step.on_abort = on_abort
        process.add(step)
        return step
    except Exception as error:
        process.failed(error)
        return NO_STEP


def _details(
    project: str, domain: str, task: str | None, spec: object, dependencies: list[Step] | None
) -> str:
    details: dict[str, Any] = {}
    if task is not None:
        identifier = {"project": project, "domain": domain, "name": name_of(task), "version": "1"}
        details["task"] = identifier
    if spec is not None:
        details["spec"] = spec
    if dependencies:
        details["dependencies"] = [each.name for each in dependencies if each is not NO_STEP]
    return f",{json.dumps(details, allow_nan=False, default=str)[1:-1]}" if details else ""


def end(step: Step, phase: str, code: str | None, message: str | None, at: float | None) -> None:
    """`Step.end()`."""
    try:
        if step.sent == FOREIGN or step.phase != "RUNNING":
            return
        if phase not in _TERMINAL:
            raise ValueError(f"{phase} is not a terminal phase")
        if message is not None:
            step.error = clean(str(code or phase))[:255], clean(shortened(str(message)))
        process.finish(step, phase, time.time() if at is None else at)
    except Exception as error:
        process.failed(error)


def next_attempt(step: Step, at: float | None) -> Step:
    """`Step.next_attempt()`."""
    try:
        following = Step(step.run, step.parent, step.name, step.attempt + 1, step.spec)
        following.started = time.time() if at is None else at
        following.on_abort = step.on_abort
        process.add(following)
        return following
    except Exception as error:
        process.failed(error)
        return NO_STEP
