"""What this process records: its runs, where steps begin and end, and aborts.

Most modules are imported with the first step, so that importing the client takes little time."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from . import aborts, steps
from .errors import Aborted, described, kind_of, phase_of
from .steps import FOREIGN, NO_SPEC, QUEUED, Run, Spec, Step, clean, current, name_of, suffix

if TYPE_CHECKING:
    from .open_steps import OpenSteps
    from .recorder import Recorder
    from .retries import Retries
    from .sender import Sender
    from .settings import Settings

_MAX_WARNINGS = 100


class Process:
    """The state of the client in this process."""

    def __init__(self) -> None:
        self.is_enabled = True
        self.is_started = False
        self.is_child = False
        """Whether it was forked, or started by a tracked process."""
        self._is_new_child = False
        """Whether it is a child in which no step has begun."""
        self.open: Step | None = None
        """The parent of steps that begin where no step is current."""
        self.runs: list[Run] = []
        self.ended: deque[Run] = deque(maxlen=20)
        """Runs whose last report may be answered with an abort."""
        self.executor = ""
        self._warned: set[str] = set()
        self._start_lock = threading.Lock()
        self.open_steps: OpenSteps
        self.recorder: Recorder
        self.retries: Retries
        self.sender: Sender
        self.settings: Settings

    def start(self) -> bool:
        """Reads the settings, and prepares everything but the thread of the sender; whether it is enabled."""
        with self._start_lock:
            if not self.is_started:
                self._start()
                self.is_started = True
            return self.is_enabled

    def _start(self) -> None:
        from .settings import Settings

        self.settings = Settings()
        if self.settings.is_disabled or self.settings.problem:
            self.is_enabled = False
            if not self.settings.is_disabled:
                self.warn(f"nothing is recorded: {self.settings.problem}")
            return
        # In a thread they would be incomplete in a child that is forked meanwhile.
        import encodings.idna  # noqa: F401
        import http.client  # noqa: F401

        self._connect()
        from . import children, endings, logs

        self.executor = self._new_executor()
        if self.settings.parent:
            self._join(self.settings.parent)
        endings.install()
        children.install()
        logs.install(self.settings.records_logging, self.settings.records_prints)

    def _connect(self) -> None:
        from .open_steps import OpenSteps
        from .recorder import Recorder
        from .retries import Retries
        from .sender import Sender
        from .spool import Spool

        self.retries = Retries(self.settings.spool_folder, self.failed)
        self.open_steps = OpenSteps(self.retries, self.failed)
        self.recorder = Recorder(Spool(self.settings.spool_folder, self.settings.spool_bytes), self.warn)
        self.sender = Sender(self, self.recorder, self.settings)
        steps.connect(self.recorder.put, self.failed)

    @staticmethod
    def _new_executor() -> str:
        import socket

        return f"{name_of(socket.gethostname())}:{os.getpid()}:{os.urandom(3).hex()}"

    def _join(self, parent: str) -> None:
        """Makes the step that RUNGRAPH_PARENT describes the parent of the first steps."""
        try:
            value = json.loads(parent)
            self.executor = str(value["executor"])
            run = Run(str(value["project"]), str(value["domain"]), str(value["run"]), self.executor, suffix())
            step: Step | None = None
            for name in value["path"]:
                step = Step(run, step, str(name), 1, NO_SPEC)
                step.sent = FOREIGN
        except (ValueError, TypeError, KeyError):
            self.warn("RUNGRAPH_PARENT is not valid: this process records runs of its own")
            return
        self.is_child = self._is_new_child = True
        self.runs.append(run)
        self.open = step

    def after_fork(self) -> None:
        """In a forked child: what the parent process has open is foreign."""
        if not self.is_started or not self.is_enabled:
            return
        self.is_child = self._is_new_child = True
        own = suffix()
        for run in self.runs:
            for step in run.open:
                step.sent = FOREIGN
            run.open = {}
            run.lock = threading.Lock()
            run.is_owner, run.suffix = False, own
            run.mine = set()
        self.recorder.spool.abandon()
        self.open_steps.close(abandon=True)
        self._connect()

    def begin(
        self, spec: Spec, name: str, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Step:
        """A new step, which is not current yet. Raises Aborted if it must not begin."""
        if self._is_new_child:
            self._begin_in_child()
        parent = current.get()
        if parent is None or parent.run.has_ended:
            parent = self.open
        if parent is None or spec.is_run:
            return self._begin_run(spec, name, args, kwargs or {})
        run = parent.run
        if run.aborts:
            aborts.check(parent)
        failed = None
        if parent.failed or parent.sent == FOREIGN:
            failed = self.retries.take(spec, parent, args, kwargs or {})
        name, attempt = (run.unique_name(name), 1) if failed is None else (failed[0], failed[1] + 1)
        step = Step(run, parent, name, attempt, spec)
        if not run.is_owner:
            self.open_steps.begin(step, args, kwargs or {})
        self.add(step)
        return step

    def add(self, step: Step) -> None:
        """Records a new step."""
        step.run.open[step] = None
        self.recorder.put(step)
        if not self.sender.is_running:
            self._start_sender()

    def _begin_in_child(self) -> None:
        """The first step of a child process."""
        from .children import is_pool_worker

        self._is_new_child = False
        if is_pool_worker():
            current.set(None)  # below the run, as in a thread of a pool
        for run in self.runs:
            if not run.is_owner:
                self.open_steps.end_lost(run, self.recorder.put)

    def _start_sender(self) -> None:
        self.sender.start()
        if self.is_child:
            from .endings import finalize_child

            finalize_child()

    def new_run(self, spec: Spec, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Run:
        """A run, which begins with its first step."""
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        run_name = self.settings.run_name if not self.runs else None
        self.settings.run_name = None
        own_name = name_of(run_name or f"{name}-{moment}-{os.urandom(5).hex()}")
        run = Run(self.settings.project, self.settings.domain, own_name, self.executor)
        run.labels = self._labels(spec, args, kwargs)
        self.runs.append(run)
        return run

    def _begin_run(self, spec: Spec, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step:
        run = self.new_run(spec, name, args, kwargs)
        self.open = step = Step(run, None, run.unique_name(name), 1, spec)
        os.environ["RUNGRAPH_PARENT"] = step.parent_variable()
        self.add(step)
        return step

    def _labels(self, spec: Spec, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, str]:
        """The labels of a run that begins with this call."""
        labels = dict(self.settings.labels)
        try:
            own = spec.labels(*args, **kwargs) if callable(spec.labels) else spec.labels
            labels.update(own or {})
        except Exception as error:
            self.failed(error)
        return {name_of(key): clean(str(value))[:4096] for key, value in labels.items()}

    def end(
        self,
        step: Step,
        error: BaseException | None = None,
        key: tuple[Any, object] | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Ends the step. `key` identifies a retry of it, in other processes the arguments do."""
        if step.sent == FOREIGN or step.phase != "RUNNING":
            return
        ended, phase = time.time(), "SUCCEEDED"
        if error is not None:
            phase = phase_of(error)
            if phase != "SUCCEEDED" and not isinstance(error, Aborted):
                step.error = described(error)
            if phase == "FAILED" and step.parent is not None:
                self.retries.keep(step, step.parent, key, args, kwargs or {})
        self.finish(step, phase, ended)

    def finish(self, step: Step, phase: str, ended: float) -> None:
        """Ends the step in the phase."""
        step.ended, step.phase = ended, phase
        run = step.run
        run.open.pop(step, None)
        self.recorder.put(step)
        if step.parent is None:
            self._end_run(run)
        elif self.is_child and step.parent.sent == FOREIGN:
            # A pool may kill this process once it has the result.
            self.recorder.move_to_disk()
        if not run.is_owner:
            self.open_steps.end(step)
        if run.aborts:
            aborts.settle(run, self.recorder.put)

    def next_attempt(self, step: Step, error: BaseException) -> None:
        """Ends the attempt of the step as failed; the same step is its next attempt from now on."""
        if step.sent == FOREIGN or step.phase != "RUNNING":
            return
        with self.recorder.lock:
            last = Step(step.run, step.parent, step.name, step.attempt, step.spec)
            last.started, last.sent, last.offsets = step.started, step.sent, step.offsets
            last.ended, last.error, last.phase = time.time(), described(error), "FAILED"
            step.attempt, step.started, step.offsets = step.attempt + 1, time.time(), None
            step.sent = QUEUED
        self.recorder.put(last)
        self.recorder.put(step)
        if not step.run.is_owner:
            self.open_steps.next_attempt(step)

    def _end_run(self, run: Run) -> None:
        run.has_ended = True
        self.open_steps.end_lost(run, self.recorder.put)
        self.retries.forget(run)
        if run in self.runs:
            self.runs.remove(run)
        self.ended.append(run)
        self.open = None
        for other in reversed(self.runs):
            if other.open and not other.is_explicit:
                self.open = next(iter(other.open))
                break
        if self.open is None:
            os.environ.pop("RUNGRAPH_PARENT", None)
        else:
            os.environ["RUNGRAPH_PARENT"] = self.open.parent_variable()

    def warn(self, message: str) -> None:
        """Logs each message once, also if only its numbers and times differ."""
        kind = kind_of(message)
        if kind not in self._warned and len(self._warned) < _MAX_WARNINGS:
            self._warned.add(kind)
            import logging

            logging.getLogger("rungraph").warning("%s", message)

    def failed(self, error: BaseException) -> None:
        """An error of the client itself."""
        try:
            self.warn(f"the client failed: {type(error).__name__}: {error}")
        except Exception:
            pass


process = Process()
