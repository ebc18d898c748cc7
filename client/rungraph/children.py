"""Child processes: forked ones know their parent step, others learn of it from RUNGRAPH_PARENT."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from typing import Any

from . import endings
from .process import process
from .steps import current

_ENV_POSITION = 10
"""Of `env` among the positional arguments of Popen."""
_POOLS = {"concurrent.futures.process", "multiprocessing.pool"}
_is_installed = False
_filter: Any = None
"""Of the warning of Python about forks, once it is left out."""


def install() -> None:
    """Runs once a process; forked children inherit it."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)
        if sys.version_info >= (3, 12):
            os.register_at_fork(before=_before_fork)
    subprocess.Popen.__init__ = _with_parent(subprocess.Popen.__init__)  # type: ignore[method-assign]


def _before_fork() -> None:
    """Python warns of a fork while other threads run. The sender is no reason, since a child does without it:
    the warning is left out where no other thread runs."""
    global _filter
    try:
        import warnings

        is_alone = _threads() - process.sender.is_running <= 1
        if is_alone == (warnings.filters[:1] == [_filter]):
            return  # a change of the filters would repeat warnings that are printed once
        if _filter in warnings.filters:
            warnings.filters.remove(_filter)  # type: ignore[attr-defined]
        if is_alone:
            text = "This process .* is multi-threaded, use of fork"
            warnings.filterwarnings("ignore", text, DeprecationWarning)
            _filter = warnings.filters[0]
    except Exception as error:
        process.failed(error)


def _threads() -> int:
    """How many threads this process has; where the system does not say it, those of Python."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return threading.active_count()


def _after_fork() -> None:
    try:
        endings.after_fork()
        process.after_fork()
    except Exception as error:
        process.failed(error)


def is_pool_worker() -> bool:
    """Whether this is a worker of a pool. It is forked in the step that happened to submit the first call,
    and executes calls of all steps."""
    module = sys.modules.get("multiprocessing.process")
    target = getattr(module.current_process(), "_target", None) if module is not None else None
    return getattr(target, "__module__", None) in _POOLS


def _with_parent(original: Any) -> Any:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            if (step := current.get()) is not None and step.parent is not None:
                parent = step.parent_variable()
                if len(args) > _ENV_POSITION:
                    if args[_ENV_POSITION] is not None:
                        changed = {**args[_ENV_POSITION], "RUNGRAPH_PARENT": parent}
                        args = (*args[:_ENV_POSITION], changed, *args[_ENV_POSITION + 1 :])
                else:
                    environment = kwargs.get("env")
                    kwargs["env"] = {
                        **(os.environ if environment is None else environment),
                        "RUNGRAPH_PARENT": parent,
                    }
        except Exception as error:
            process.failed(error)
        original(self, *args, **kwargs)

    return init
