"""Blocks: `with track("load"):`, which may also decorate functions."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .steps import NO_STEP, Spec, Step, current

F = TypeVar("F", bound=Callable[..., Any])


class Block:
    """Each entry is a step. The object may be entered again, also from other threads."""

    def __init__(self, spec: Spec, retry: bool | None) -> None:
        self._spec, self._retry = spec, retry
        self._all: list[Any] = []
        """Entries that were not left yet: one may be left in another context than it was entered in."""
        self._entered: contextvars.ContextVar[Any] = contextvars.ContextVar("rungraph_block", default=None)

    def __call__(self, function: F) -> F:
        from .tracking import track

        spec = self._spec
        options: Any = {"outputs": spec.outputs, "run": spec.is_run, "labels": spec.labels}
        return track(name=spec.name, retry=self._retry, **options)(function)

    def __enter__(self) -> Step:
        from .tracking import begin

        step = begin(self._spec, None, (), {})
        token = current.set(step) if step is not None else None
        entry = (step, token, self._entered.get())
        self._all.append(entry)
        self._entered.set(entry)
        return step or NO_STEP

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from .tracking import end

        entry = self._entered.get() or self._all[-1]
        self._all.remove(entry)
        step, token, before = entry
        self._entered.set(before)
        if step is not None:
            try:
                current.reset(token)
            except ValueError:
                pass  # of another context
            end(step, error, (), {})

    async def __aenter__(self) -> Step:
        from .generators import current_task

        step = self.__enter__()
        if step is not NO_STEP:
            step.task = current_task()
        return step

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        from .errors import Aborted
        from .generators import as_abort

        (step, _, _) = self._entered.get() or self._all[-1]
        if step is not None and error is not None:
            error = as_abort(step, error)
        if step is not None:
            step.task = None
        self.__exit__(None if error is None else type(error), error, trace)
        if isinstance(error, Aborted):
            raise error
