"""`rungraph abort`: requests the abort of a run or an action, and waits until it is confirmed."""

from contextlib import aclosing
from dataclasses import dataclass

from graph.cli.remote import documents
from graph.cli.remote.connection import DONE, Json, Session
from graph.cli.remote.details import read_action
from graph.cli.remote.names import RunReference, action_input, find_run, run_input
from graph.cli.remote.phases import Phase, has_ended, phase_of
from graph.cli.remote.runs import ended_actions
from ingest.client import ApiError
from repo.domain.identifiers import RunIdentifier, printable

_OPEN = {"REQUESTED", "RETRYING"}


@dataclass(frozen=True, slots=True)
class Target:
    """A run or an action to abort."""

    run: RunIdentifier
    action: str | None
    phase: Phase
    unfinished: int
    """How many of its actions have not ended."""
    was_requested: bool
    """Whether its abort was requested before."""

    def __str__(self) -> str:
        return printable(str(self.run) if self.action is None else f"{self.action} in {self.run}")


async def find_target(session: Session, reference: RunReference, action: str | None) -> Target:
    """What is to be aborted. Raises ApiError if it does not exist, or everything has ended."""
    run = await find_run(session, reference)
    if action is None:
        node = (await session.execute(documents.RUN, run=run_input(run)))["run"]
        if node is None:
            raise ApiError(f"there is no run {run}", "NOT_FOUND")
    else:
        node = await read_action(session, documents.ACTION, run, action)
    phase = phase_of(node["phase"])
    ended, total = ended_actions(node["phaseCounts"])
    # The counts of an action are those below it, those of a run include its root.
    unfinished = total - ended + (action is not None and not has_ended(node))
    target = Target(run, action, phase, unfinished, node["abort"] is not None)
    if not unfinished and not target.was_requested:
        raise ApiError(f"{target} has ended as {phase.name}: there is nothing to abort")
    return target


def question(target: Target) -> str:
    """What to ask before the abort."""
    actions = f"{target.unfinished:,} unfinished action{'' if target.unfinished == 1 else 's'}"
    return f"Abort {target}, {target.phase.name}, with {actions}? [y/N] "


async def abort(session: Session, target: Target, reason: str | None, wait: bool, as_json: bool) -> int:
    """Requests the abort and prints what was aborted; with `wait`, waits for the confirmation. Returns the
    exit code. Raises ApiError."""
    if target.action is None:
        variables: Json = {"run": run_input(target.run), "reason": reason}
        answer = (await session.execute(documents.ABORT_RUN, **variables))["abortRun"]
        kind = "run"
    else:
        variables = {"action": action_input(target.run, target.action), "reason": reason}
        answer = (await session.execute(documents.ABORT_ACTION, **variables))["abortAction"]
        kind = "action"
    node = answer[kind]
    if not answer["requested"] and node["abort"] is None and not target.was_requested:
        raise ApiError(f"{target} has ended as {node['phase']} meanwhile: there is nothing to abort")
    if as_json:
        session.print_json(answer)
    else:
        what = "aborted" if answer["requested"] else "the abort was requested before:"
        session.print(f"{what} {target}")
    if wait:
        await _wait(session, target)
        if as_json:
            current = await _current(session, target)
            session.print_json(answer | {kind: {field: current[field] for field in node}})
        else:
            session.print("confirmed: the work has stopped")
    elif not as_json and (node["abort"] is None or node["abort"]["state"] != "CONFIRMED"):
        session.note("the executor has not confirmed yet that the work has stopped; --wait waits for it")
    return DONE


async def _current(session: Session, target: Target) -> Json:
    """The run or the action as it is now."""
    if target.action is not None:
        return await read_action(session, documents.ACTION, target.run, target.action)
    run: Json = (await session.execute(documents.RUN, run=run_input(target.run)))["run"]
    return run


class _Aborts:
    """The aborts of a run's actions, as frames of a subscription report them."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._actions: dict[str, Json] = {}
        self._is_complete = False

    def apply(self, frame: Json) -> None:
        if frame["kind"] == "RESYNC":
            self._actions, self._is_complete = {}, False
        self._is_complete = self._is_complete or frame["kind"] == "SYNCED"
        if removed := set(frame["removed"]):
            self._actions = {name: each for name, each in self._actions.items() if each["id"] not in removed}
        for action in frame["actions"]:
            known = self._actions.get(action["name"])
            if known is None or known["revision"] <= action["revision"]:
                self._actions[action["name"]] = action

    def result(self) -> Json | None:
        """The last abort if one failed, an empty one if all are confirmed, None while one is pending."""
        aborts = [each for each in self._actions.values() if each["abort"] and self._concerns(each)]
        if not self._is_complete or any(each["abort"]["state"] in _OPEN for each in aborts):
            return None
        failed = [each for each in aborts if each["abort"]["state"] == "FAILED"]
        return failed[0] if failed else {}

    def _concerns(self, action: Json | None) -> bool:
        """Whether the action is the target or below it."""
        if self._target.action is None:
            return True
        while action is not None:
            if action["name"] == self._target.action:
                return True
            action = self._actions.get(action["parentName"])
        return False


async def _wait(session: Session, target: Target) -> None:
    """Waits until the abort is confirmed. Raises ApiError if it was not."""
    aborts = _Aborts(target)
    stream = session.follow(documents.ABORTS, {"run": run_input(target.run)}, wait=True)
    async with aclosing(stream) as frames:
        async for frame in frames:
            aborts.apply(frame)
            failed = aborts.result()
            if failed:
                abort = failed["abort"]
                raise ApiError(
                    f"the executor did not confirm that {failed['name']} has stopped, in "
                    f"{abort['attemptCount']} attempts: {abort['lastError'] or 'no response'}"
                )
            if failed is not None:
                return
    raise ApiError("the server ended the stream before the executor confirmed that the work has stopped")
