"""Wrappers of generators, whose step is current only while their code runs, and tasks of asyncio."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .errors import Aborted
from .steps import Spec, Step, current

Begin = Callable[[Spec, Any, tuple[Any, ...], dict[str, Any]], "Step | None"]
End = Callable[..., None]


def generator_wrapper(function: Any, spec: Spec, naming: Any, begin: Begin, end: End) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = begin(spec, naming, args, kwargs)
        if step is None:
            return (yield from function(*args, **kwargs))
        generator = function(*args, **kwargs)
        resume, value = generator.send, None
        while True:
            token = current.set(step)
            try:
                item = resume(value)
            except StopIteration as stop:
                current.reset(token)
                end(step, None, args, kwargs, stop.value)
                return stop.value
            except BaseException as error:
                current.reset(token)
                # Closing a generator early is no failure.
                end(step, None if isinstance(error, GeneratorExit) else error, args, kwargs)
                raise
            current.reset(token)
            try:
                value = yield item
                resume = generator.send
            except BaseException as error:
                resume, value = generator.throw, error

    return wrapper


def async_generator_wrapper(function: Any, spec: Spec, naming: Any, begin: Begin, end: End) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = begin(spec, naming, args, kwargs)
        generator = function(*args, **kwargs)
        if step is None:
            step = Step.__new__(Step)
            recorded = False
        else:
            recorded = True
        resume, value = generator.asend, None
        while True:
            token = current.set(step) if recorded else None
            try:
                if recorded:
                    step.task = current_task()
                item = await resume(value)
            except StopAsyncIteration:
                if token is not None:
                    current.reset(token)
                    end(step, None, args, kwargs)
                return
            except BaseException as error:
                if token is not None:
                    current.reset(token)
                    error = as_abort(step, error)
                    end(step, None if isinstance(error, GeneratorExit) else error, args, kwargs)
                    if isinstance(error, Aborted):
                        raise error
                raise
            finally:
                if recorded:
                    step.task = None
            if token is not None:
                current.reset(token)
            try:
                value = yield item
                resume = generator.asend
            except BaseException as error:
                resume, value = generator.athrow, error

    return wrapper


def current_task() -> Any:
    """The task of asyncio that runs, or None with another framework."""
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None


def as_abort(step: Step, error: BaseException) -> BaseException:
    """Aborted, if the task was cancelled because of an abort; else the error."""
    if step.aborted_task and type(error).__name__ == "CancelledError":
        if step.task is not None and hasattr(step.task, "uncancel"):
            step.task.uncancel()
        for each in step.chain():
            if (reason := step.run.aborts.get(each.name)) is not None:
                return Aborted(reason)
    return error
