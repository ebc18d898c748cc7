"""What both clients send: the operations of their methods, with variables and with how results are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Union

from . import documents
from .decoding import decode
from .enums import ActionOrderField, ArtifactKind, LogLevel
from .errors import ApiError
from .filters import ActionFilter, RunFilter, variable
from .types import AbortActionPayload, AbortRunPayload, Action, Artifact, LogLine, Run
from .values import ActionIdentifier, RunIdentifier

T = TypeVar("T")
RunReference = Union[str, RunIdentifier, Run]
"""A run by its name, in the project and domain of the client, or any run."""
ActionReference = Union[ActionIdentifier, Action]

MAX_LENGTH = 10_000
"""Characters of messages in lists and streams."""
_PAGE = 100


@dataclass(frozen=True)
class Operation(Generic[T]):
    """A query or mutation."""

    document: str
    variables: dict[str, Any]
    read: Callable[[dict[str, Any]], T]
    """Makes the result of the data."""


class Pages(Generic[T]):
    """A list that is read page by page."""

    def __init__(
        self, document: str, variables: dict[str, Any], path: tuple[str, ...], cls: type[T], limit: int | None
    ) -> None:
        if limit is not None and limit < 0:
            raise ValueError(f"limit must be at least 0, not {limit}")
        self._document, self._path, self._cls = document, path, cls
        self._variables = {**variables, "maxLength": MAX_LENGTH}
        self._left = limit

    def next(self) -> Operation[list[T]] | None:
        """The next page; None after the last one."""
        if self._left is not None and self._left <= 0:
            return None
        first = _PAGE if self._left is None else min(self._left, _PAGE)
        return Operation(self._document, {**self._variables, "first": first}, self._read)

    def _read(self, data: dict[str, Any]) -> list[T]:
        for key in self._path:
            data = found(data[key], "the run")
        items = [decode(self._cls, node) for node in data["nodes"]]
        if self._left is not None:
            self._left -= len(items)
        self._variables["after"] = data["pageInfo"]["endCursor"]
        if not data["pageInfo"]["hasNextPage"]:
            self._left = 0
        return items


@dataclass(frozen=True)
class LogPage:
    """Lines of a log."""

    lines: list[LogLine]
    end: int
    has_more: bool
    has_ended: bool
    """Whether the attempt has ended."""


@dataclass(frozen=True)
class LogQuery:
    """Which lines of which log."""

    action: dict[str, str]
    attempt: int
    conditions: dict[str, Any]

    def variables(self, after: int) -> dict[str, Any]:
        start = {"after": after} if after else {}
        return {"action": self.action, "attempt": self.attempt, **self.conditions, **start}

    def page(self, after: int) -> Operation[LogPage]:
        """The lines after a number."""
        return Operation(documents.LOG_LINES, self.variables(after), self._read)

    def _read(self, data: dict[str, Any]) -> LogPage:
        action, page = found(data["action"], "the action"), data["logLines"]
        lines = [decode(LogLine, value) for value in page["lines"]]
        has_ended = action["attempts"] > self.attempt or action["endedAt"] is not None
        return LogPage(lines, page["end"], page["hasMore"], has_ended)


def found(value: Any, what: str) -> Any:
    """The value. Raises NOT_FOUND for null."""
    if value is None:
        raise ApiError("NOT_FOUND", f"{what} does not exist, or may not be read")
    return value


class Operations:
    """Builds operations, with the client's project and domain for names of runs."""

    def __init__(self, project: str, domain: str) -> None:
        self._project, self._domain = project, domain

    def run_variable(self, run: RunReference) -> dict[str, str]:
        if isinstance(run, str):
            return {"project": self._project, "domain": self._domain, "name": run}
        if not isinstance(run, (Run, RunIdentifier)):
            raise TypeError(f"a run is its name, a RunIdentifier or a Run, not {run!r}")
        return {"project": run.project, "domain": run.domain, "name": run.name}

    def action_variable(self, run: RunReference, name: str) -> dict[str, str]:
        of_run = self.run_variable(run)
        return {
            "project": of_run["project"],
            "domain": of_run["domain"],
            "runName": of_run["name"],
            "name": name,
        }

    def known_action(self, target: RunReference | ActionReference, name: str | None) -> dict[str, str] | None:
        """The identifier of an action, or of the one of this name in a run; None for a run alone."""
        if isinstance(target, (Action, ActionIdentifier)):
            if name is not None:
                raise TypeError("name the action of a run, or pass the action alone")
            run = RunIdentifier(target.project, target.domain, target.run_name)
            return self.action_variable(run, target.name)
        return None if name is None else self.action_variable(target, name)

    def root(self, run: RunReference | ActionReference) -> Operation[dict[str, str]]:
        """The identifier of the root action of a run."""
        assert not isinstance(run, (Action, ActionIdentifier))

        def read(data: dict[str, Any]) -> dict[str, str]:
            return self.action_variable(run, found(data["run"], "the run")["rootAction"]["name"])

        return Operation(documents.ROOT, {"run": self.run_variable(run)}, read)

    def run(self, run: RunReference) -> Operation[Run]:
        variables = {"run": self.run_variable(run)}
        return Operation(documents.RUN, variables, lambda data: decode(Run, found(data["run"], "the run")))

    def runs(
        self, limit: int | None, order_by: ActionOrderField | None, ascending: bool, filter: RunFilter
    ) -> Pages[Run]:
        own: RunFilter = {"project": self._project, "domain": self._domain}
        conditions = variable({**own, **filter}, RunFilter)
        variables = {"filter": conditions, "orderBy": _order(order_by, ascending)}
        return Pages(documents.RUNS, variables, ("runs",), Run, limit)

    def action(self, target: RunReference | ActionReference, name: str | None) -> Operation[Action]:
        identifier = self.known_action(target, name)
        if identifier is None:
            raise TypeError("name the action of the run")
        return Operation(
            documents.ACTION,
            {"action": identifier},
            lambda data: decode(Action, found(data["action"], "the action")),
        )

    def actions(
        self,
        run: RunReference,
        limit: int | None,
        order_by: ActionOrderField | None,
        ascending: bool,
        filter: ActionFilter,
    ) -> Pages[Action]:
        variables = {
            "run": self.run_variable(run),
            "filter": variable(filter, ActionFilter),
            "orderBy": _order(order_by, ascending),
        }
        return Pages(documents.ACTIONS, variables, ("run", "actions"), Action, limit)

    def abort(
        self, target: RunReference | ActionReference, reason: str | None
    ) -> Operation[AbortRunPayload | AbortActionPayload]:
        action = self.known_action(target, None)
        if action is not None:
            return Operation(
                documents.ABORT_ACTION,
                {"input": {"id": action, "reason": reason}},
                lambda data: decode(AbortActionPayload, data["abortAction"]),
            )
        assert not isinstance(target, (Action, ActionIdentifier))
        return Operation(
            documents.ABORT_RUN,
            {"input": {"id": self.run_variable(target), "reason": reason}},
            lambda data: decode(AbortRunPayload, data["abortRun"]),
        )

    def attempt(self, action: dict[str, str]) -> Operation[int]:
        """The number of the latest attempt."""
        return Operation(
            documents.ATTEMPT,
            {"action": action},
            lambda data: int(found(data["action"], "the action")["attempts"]),
        )

    def artifacts(
        self, action: dict[str, str], attempt: int | None, kinds: Iterable[ArtifactKind] | None
    ) -> Operation[list[Artifact]]:
        variables = {"action": action, "attempt": attempt, "kinds": _texts(kinds)}

        def read(data: dict[str, Any]) -> list[Artifact]:
            values = found(data["action"], "the action")["artifacts"]
            return [decode(Artifact, value) for value in values]

        return Operation(documents.ARTIFACTS, variables, read)

    def watch_variables(self, run: RunReference, filter: ActionFilter) -> dict[str, Any]:
        conditions = variable(filter, ActionFilter)
        return {"run": self.run_variable(run), "filter": conditions, "maxLength": MAX_LENGTH}

    def event_variables(
        self, target: RunReference | ActionReference, name: str | None, attempt: int | None
    ) -> dict[str, Any]:
        variables: dict[str, Any] = {"attempt": attempt, "maxLength": MAX_LENGTH}
        if (action := self.known_action(target, name)) is None:
            assert not isinstance(target, (Action, ActionIdentifier))
            return {**variables, "run": self.run_variable(target)}
        run = {"project": action["project"], "domain": action["domain"], "name": action["runName"]}
        return {**variables, "run": run, "actionName": action["name"]}


def log_conditions(
    search: str | None, stream: str | None, levels: Iterable[LogLevel] | None
) -> dict[str, Any]:
    conditions: Mapping[str, Any] = {"search": search, "stream": stream, "levels": _texts(levels)}
    return {name: value for name, value in conditions.items() if value is not None}


def _texts(values: Iterable[Any] | None) -> list[str] | None:
    return None if values is None else [str(each) for each in values]


def _order(field: ActionOrderField | None, ascending: bool) -> dict[str, str] | None:
    if field is None:
        if not ascending:
            return None
        field = ActionOrderField.CREATED_AT
    return {"field": str(field), "direction": "ASC" if ascending else "DESC"}
