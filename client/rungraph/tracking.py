"""`track`: a wrapper, a decorator and a context manager whose calls and blocks are recorded as steps."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, Union, overload

from . import aborts, generators
from .blocks import Block
from .errors import Aborted
from .identities import identity
from .process import process
from .steps import NO_STEP, Spec, Step, current, name_of

F = TypeVar("F", bound=Callable[..., Any])
Name = Union[str, Callable[..., object]]
Labels = Union[Mapping[str, object], Callable[..., Mapping[str, object]]]
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
"""Flags of code objects."""


@overload
def track(
    target: str,
    /,
    *,
    retry: bool | None = None,
    run: bool = False,
    labels: Mapping[str, object] | None = None,
) -> Block: ...


@overload
def track(
    target: F,
    /,
    *,
    name: Name | None = None,
    retry: bool | None = None,
    outputs: bool = False,
    run: bool = False,
    labels: Labels | None = None,
) -> F: ...


@overload
def track(
    *,
    name: Name | None = None,
    retry: bool | None = None,
    outputs: bool = False,
    run: bool = False,
    labels: Labels | None = None,
) -> Callable[[F], F]: ...


def track(
    target: Any = None,
    /,
    *,
    name: Name | None = None,
    retry: bool | None = None,
    outputs: bool = False,
    run: bool = False,
    labels: Labels | None = None,
) -> Any:
    """Tracks a function (`track(main)`, `@track`, `@track(name=…)`), or a block (`with track("load"):`).

    The outermost call is a run, and calls within it are its actions. `name` is the name of the action, or a
    function that returns it for the arguments. `retry` says whether a call after a failed one is its next
    attempt: by default if the arguments are the same, True always, False never. `outputs` stores what the
    function returns. `run` begins a run of its own, also within another one. `labels` are those of a run that
    begins with a call, or a function that returns them for the arguments."""
    if isinstance(target, str):
        return Block(Spec(name_of(target), None, bool(retry), outputs, run, labels), retry)
    options = _Options(name, retry, outputs, run, labels)
    if target is None:
        return lambda function: _wrapped(function, options)
    return _wrapped(target, options)


class _Options(NamedTuple):
    """The arguments of `track` for a function."""

    name: Name | None
    retry: bool | None
    outputs: bool
    run: bool
    labels: Labels | None


def _wrapped(function: Any, options: _Options) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_wrapped(function.__func__, options))
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"track() takes a function or the name of a block, not {function!r}")
    if getattr(function, "__rungraph__", None) == id(function):
        return function
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    own_name = getattr(inner, "__name__", type(inner).__name__)
    name = options.name
    label = name if isinstance(name, str) else own_name
    module = getattr(inner, "__module__", None)
    qualified = getattr(inner, "__qualname__", own_name).replace("<locals>.", "")
    code = getattr(getattr(inner, "__func__", inner), "__code__", None)
    if module in ("__main__", "__mp_main__"):  # the latter in a process that multiprocessing has spawned
        module = _script_name(code)
    spec = Spec(
        name_of(label),
        name_of(f"{module}.{qualified}" if module else qualified),
        options.retry,
        options.outputs,
        options.run,
        options.labels,
    )
    naming = name if callable(name) else None
    if code is None:
        code = getattr(type(inner).__call__, "__code__", None)
    flags = getattr(code, "co_flags", 0)
    if flags & _COROUTINE:
        wrapper: Any = _async_wrapper(function, spec, naming)
    elif flags & _ASYNC_GENERATOR:
        wrapper = generators.async_generator_wrapper(function, spec, naming, begin, end)
    elif flags & _GENERATOR:
        wrapper = generators.generator_wrapper(function, spec, naming, begin, end)
    else:
        wrapper = _sync_wrapper(function, spec, naming)
    functools.update_wrapper(wrapper, function)
    wrapper.__rungraph__ = id(wrapper)  # copies of its attributes do not count as tracked
    return wrapper


def _script_name(code: Any) -> str:
    """The name of the running script, for functions of `__main__`. In a spawned process the script is not
    that module while its functions are tracked: `code` is of such a function."""
    main = sys.modules.get("__main__")
    file = str(getattr(main, "__file__", None) or getattr(code, "co_filename", "<>"))
    return os.path.splitext(os.path.basename(file))[0] if file[0] != "<" else "__main__"


def begin(spec: Spec, naming: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Step | None:
    """A new step; None if nothing is recorded. Raises only Aborted."""
    if not process.is_enabled:
        return None
    try:
        if not process.is_started and not process.start():
            return None
        name = spec.name if naming is None else name_of(naming(*args, **kwargs))
        return process.begin(spec, name, args, kwargs)
    except Exception as error:
        process.failed(error)
        return None


def end(
    step: Step,
    error: BaseException | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    result: object = None,
) -> None:
    """Ends the step. Raises only Aborted, if the step above was aborted meanwhile."""
    try:
        if error is None:
            if step.spec.outputs and result is not None:
                step.artifact("return", result, "OUTPUTS")
            process.end(step)
            if step.run.aborts and step.parent is not None:
                aborts.check(step)
        else:
            key = _key(step, args, kwargs) if step.parent is not None else None
            process.end(step, error, key, args, kwargs)
    except Exception as problem:
        process.failed(problem)


def _key(step: Step, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, object] | None:
    """What identifies a retry, and what that keeps alive."""
    spec = step.spec
    if spec.retry is False:
        return None
    if spec.retry:
        return (None, spec.name), None
    key, keeping = identity(args, kwargs)
    return (spec, key), keeping


def _sync_wrapper(function: Any, spec: Spec, naming: Any) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = begin(spec, naming, args, kwargs)
        if step is None:
            return function(*args, **kwargs)
        token = current.set(step)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            current.reset(token)
            end(step, error, args, kwargs)
            raise
        current.reset(token)
        end(step, None, args, kwargs, result)
        return result

    return wrapper


def _async_wrapper(function: Any, spec: Spec, naming: Any) -> Any:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        step = begin(spec, naming, args, kwargs)
        if step is None:
            return await function(*args, **kwargs)
        step.task = generators.current_task()
        token = current.set(step)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            current.reset(token)
            error = generators.as_abort(step, error)
            end(step, error, args, kwargs)
            if isinstance(error, Aborted):
                raise error
            raise
        finally:
            step.task = None
        current.reset(token)
        end(step, None, args, kwargs, result)
        return result

    return wrapper


def current_step() -> Step:
    """The step of the tracked function or block that runs. Where there is none, one that does nothing."""
    return current.get() or process.open or NO_STEP


def next_attempt(failure: object = None) -> None:
    """Ends the attempt of the current step as failed, and begins its next one. `failure` is an exception, or
    the state that tenacity passes to a hook: `@retry(before_sleep=next_attempt)` below `@track`."""
    try:
        outcome = getattr(failure, "outcome", None)
        error = outcome.exception() if outcome is not None else failure
        step = current.get()
        if step is not None and process.is_enabled:
            process.next_attempt(step, error if isinstance(error, BaseException) else RuntimeError("failed"))
    except Exception as problem:
        process.failed(problem)


def flush(seconds: float = 10.0) -> bool:
    """Waits until all that was recorded is sent, at most so long; whether it was."""
    return not process.is_started or not process.is_enabled or process.sender.flush(seconds)


__all__ = ["current_step", "flush", "next_attempt", "track"]
