"""Aborts: they are raised where a step begins or ends, and confirmed once the work has stopped."""

from __future__ import annotations

from collections.abc import Callable

from .errors import Aborted
from .steps import NO_SPEC, Run, Step

Put = Callable[[object], None]
"""Passes a record to the sender."""


def check(step: Step) -> None:
    """Raises Aborted if the step or one above it is aborted."""
    for each in step.chain():
        if (reason := step.run.aborts.get(each.name)) is not None:
            raise Aborted(reason)


def note_abort(run: Run, name: str, reason: str, put: Put) -> None:
    """Called by the sender: an abort of the action is requested."""
    if name in run.aborts:
        return
    opened = list(run.open)
    if any(step.name == name for step in opened):
        run.mine.add(name)
    run.aborts[name] = reason
    _cancel_tasks(opened, name)
    for step in opened:
        if step.on_abort is not None and any(each.name == name for each in step.chain()):
            step.on_abort(reason)
    settle(run, put)


def _cancel_tasks(opened: list[Step], name: str) -> None:
    """Cancels the outermost tasks of asyncio whose steps are aborted."""
    for step in opened:
        chain = list(step.chain())
        names = [each.name for each in chain]
        if step.task is None or name not in names:
            continue
        above = chain[1 : names.index(name) + 1]
        if not any(each.task is not None for each in above):
            step.aborted_task = True
            try:
                step.task.get_loop().call_soon_threadsafe(step.task.cancel)
            except RuntimeError:
                pass  # the loop is closed


def settle(run: Run, put: Put) -> None:
    """Confirms the aborts whose work has stopped."""
    from .recorder import identifier

    opened = list(run.open)
    for name in list(run.aborts):
        is_known = name in run.mine or (run.is_owner and run.has_ended)
        if is_known and not any(each.name == name for step in opened for each in step.chain()):
            run.mine.discard(name)
            put(("confirm", identifier(Step(run, None, name, 1, NO_SPEC)).encode()))
            if run.has_ended:
                run.aborts.pop(name, None)
