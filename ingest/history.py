"""Writes a whole plan at once, with its planned times."""

from collections.abc import Callable, Iterable, Iterator

from ingest.executor import BATCH, Executor, StoredAction
from ingest.plan import Plan, PlannedAction
from repo.domain.phases import ActionPhase

OnProgress = Callable[[int, int], None]
"""Called with the number of finished actions and the total."""


async def write_history(executor: Executor, plan: Plan, progress: OnProgress) -> ActionPhase:
    """Writes what is missing and returns the phase of the run. The root action ends last, so an interrupted
    run is visibly incomplete, and writing it again completes it."""
    stored = await executor.stored_actions(plan)
    root = plan.root
    if root.name in stored and stored[root.name].phase.is_terminal:
        progress(len(plan.actions), len(plan.actions))
        return stored[root.name].phase
    started = [step for step in root.steps[:-1] if step.phase is ActionPhase.RUNNING]
    await executor.report(
        [plan.create_input(root, plan.began_at)],
        [plan.event_input(root, step, plan.time_at(step.offset_ms)) for step in root.steps[:-1]],
        [plan.phase_input(root, step, plan.time_at(step.offset_ms), None) for step in started],
    )
    missing = [action for action in plan.actions[1:] if not _is_complete(action, stored)]
    done = len(plan.actions) - 1 - len(missing)
    for group in _groups(missing):
        progress(done, len(plan.actions))
        await _write(executor, plan, group, (action for action in group if action.name not in stored))
        done += len(group)
    await _write(executor, plan, [root], ())
    progress(len(plan.actions), len(plan.actions))
    phase, _ = await executor.pending_aborts(plan)
    return phase or root.steps[-1].phase


def _is_complete(action: PlannedAction, stored: dict[str, StoredAction]) -> bool:
    return action.name in stored and stored[action.name].rank >= action.steps[-1].rank


def _groups(actions: Iterable[PlannedAction]) -> Iterator[list[PlannedAction]]:
    """The actions in order, in groups of at most BATCH events; an action with more is its own group."""
    group: list[PlannedAction] = []
    events = 0
    for action in actions:
        if group and events + len(action.steps) > BATCH:
            yield group
            group, events = [], 0
        group.append(action)
        events += len(action.steps)
    if group:
        yield group


async def _write(
    executor: Executor, plan: Plan, actions: list[PlannedAction], new: Iterable[PlannedAction]
) -> None:
    await executor.report(
        [plan.create_input(action, plan.time_at(action.steps[0].offset_ms)) for action in new]
    )
    # Before the phases: an action in its last phase counts as complete.
    for action in actions:
        states = [step.state for step in action.steps if step.state is not None]
        if states:
            await executor.update_state(plan.id_input(action.name), states[-1])
    await executor.write_output(plan, actions, plan.time_at)
    await executor.report(
        [],
        [
            plan.event_input(action, step, plan.time_at(step.offset_ms))
            for action in actions
            for step in action.steps
        ],
        [plan.final_input(action) for action in actions],
    )
