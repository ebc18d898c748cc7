"""Every query of the API and of the web UI, and every subscription, as they are asked of a large record."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.data import DOMAIN, PROJECT
from bench.record import BUSY_ACTION, LARGE_RUN, RARE_LABEL, project, run_name

_RUN_FIELDS = """project domain name phase attempts cacheStatus source task { name version } taskType
  functionName environmentName trigger { name } revision durationMs createdAt updatedAt startedAt endedAt
  triggeredAt labels { key value }"""
_ACTION_FIELDS = (
    "id name phase attempts taskType functionName createdAt updatedAt startedAt endedAt durationMs"
)
_RUNS = f"""query ($filter: RunFilter, $orderBy: ActionOrder, $after: String, $last: Int) {{
  runs(filter: $filter, orderBy: $orderBy, first: %s, after: $after, last: $last) {{
    nodes {{ {_RUN_FIELDS} }} pageInfo {{ endCursor hasNextPage }} }} }}"""
RUNS = _RUNS.replace("%s", "50")
RUNS_BACKWARD = _RUNS.replace("%s", "null")
COUNT = "query ($filter: RunFilter) { runs(filter: $filter, first: 1) { totalCount } }"
COUNT_SOME = COUNT.replace("totalCount", "totalCount(atMost: 1000)")
_ACTIONS = f"""query ($run: RunIdentifierInput, $filter: ActionFilter, $orderBy: ActionOrder) {{
  actions(run: $run, filter: $filter, orderBy: $orderBy, first: 50) {{ nodes {{ {_ACTION_FIELDS} }} }} }}"""
_COUNT_ACTIONS = """query ($run: RunIdentifierInput, $filter: ActionFilter) {
  actions(run: $run, filter: $filter, first: 1) { totalCount } }"""
_TASKS = """query ($filter: RunFilter) { tasks(filter: $filter, first: 50) { nodes {
  project domain taskName functionName runs failed failureRate phaseCounts { phase count } lastCreatedAt
  durationP50Ms durationP95Ms recentRuns { name phase durationMs } } } }"""

_GRID = """query ($filter: RunFilter) { runGrid(filter: $filter) { isComplete
  runs { name phase durationMs cursor task { version } error { code summary } }
  rows { kind name depth cells {
    run name phase actions failed startedAt endedAt error { code summary } } } } }"""

_HISTOGRAM = """query ($startDate: DateTime!, $endDate: DateTime!) {
  runHistogram(startDate: $startDate, endDate: $endDate) { startDate phaseCounts { phase count } } }"""


@dataclass(frozen=True)
class Question:
    """An operation whose time is measured."""

    name: str
    query: str
    variables: dict[str, Any] = field(default_factory=dict)
    is_subscription: bool = False
    """Measured until the frame SYNCED, or else until the first result."""


FILTERS: dict[str, dict[str, Any]] = {
    "all": {},
    "project": {"project": project(3)},
    "project without runs": {"project": "project-none"},
    "phase FAILED": {"phases": ["FAILED"]},
    "phase of 0.1 %": {"phases": ["TIMED_OUT"]},
    "phase of no run": {"phases": ["PAUSED"]},
    "not SUCCEEDED": {"excludePhases": ["SUCCEEDED"]},
    "search, common": {"search": "task_7"},
    "search, one run": {"search": "0001234"},
    "search, nothing": {"search": "qqzzxx"},
    "search, two characters": {"search": "qz"},
    "search, error code": {"search": "Error7"},
    "search, path": {"search": f"{project(5)}/{DOMAIN}/{run_name(1349)}"},
    "label, common": {"labels": [{"key": "team", "value": "team-3"}]},
    "label, rare": {"labels": [{"key": RARE_LABEL}]},
    "label, nothing": {"labels": [{"key": "team", "value": "nobody"}]},
    "all labels": {"allLabels": [{"key": "team", "value": "team-5"}, {"key": RARE_LABEL}]},
    "task": {"taskName": "pipelines.task_42"},
    "task, nothing": {"taskName": "none"},
    "task version, nothing": {"taskVersion": "none"},
    "function": {"functionName": "function_42"},
    "function, nothing": {"functionName": "none"},
    "trigger, nothing": {"triggerName": "none"},
    "trigger of task, nothing": {"triggerTaskName": "none"},
    "creator": {"createdBy": "User 7"},
    "creator, nothing": {"createdBy": "nobody"},
    "creator's subject, nothing": {"createdBySubject": "nobody"},
    "source": {"sources": ["TRACKED"]},
    "without a task": {"hasTask": False},
    "without a function": {"hasFunction": False},
    "long": {"minDurationMs": 600_000},
    "longer than any": {"minDurationMs": 10**9},
    "shorter than any": {"maxDurationMs": 0},
    "with paused actions": {"hasPausedActions": True},
    "abort pending": {"abortPending": True},
    "project and phase": {"project": project(3), "phases": ["TIMED_OUT"]},
    "project and search, nothing": {"project": project(3), "search": "qqzzxx"},
}
"""Filters of runs by name."""


def questions() -> list[Question]:
    """All of them. What they ask for by name is among the newest runs."""
    now = datetime.now(UTC)
    dates = {"startDate": (now - timedelta(days=7)).isoformat(), "endDate": now.isoformat()}
    filters = FILTERS | {"a week": dates, "before all": {"endDate": "2000-01-01T00:00:00Z"}}
    large = {"project": PROJECT, "domain": DOMAIN, "name": LARGE_RUN}
    middle = 1_500
    ordinary = {"project": project(middle), "domain": DOMAIN, "name": run_name(middle)}
    action = {"project": PROJECT, "domain": DOMAIN, "runName": LARGE_RUN, "name": BUSY_ACTION}
    root = {**action, "name": "a0"}
    found = [Question(f"runs: {name}", RUNS, {"filter": filter}) for name, filter in filters.items()]
    found += [
        Question(f"totalCount of runs{up_to}: {name}", query, {"filter": filter})
        for up_to, query in (("", COUNT), (", at most 1,000", COUNT_SOME))
        for name, filter in filters.items()
    ]
    for order in ("UPDATED_AT", "ENDED_AT", "DURATION", "PHASE", "NAME"):
        for direction in ("ASC", "DESC"):
            by = {"field": order, "direction": direction}
            found.append(Question(f"runs by {order} {direction}", RUNS, {"orderBy": by}))
            found.append(
                Question(
                    f"runs of a project by {order} {direction}",
                    RUNS,
                    {"orderBy": by, "filter": {"project": project(3)}},
                )
            )
    found.append(Question("runs: last page", RUNS_BACKWARD, {"last": 50}))
    for name, filter in {
        "all": {},
        "phase FAILED": {"phases": ["FAILED"]},
        "phase of none": {"phases": ["PAUSED"]},
        "search, nothing": {"search": "qqzzxx"},
        "group": {"group": "trials"},
        "group of none": {"group": "none"},
        "type of none": {"types": ["CONDITION"]},
        "parent of none": {"parentName": "none"},
    }.items():
        found.append(Question(f"actions: {name}", _ACTIONS, {"filter": filter}))
        found.append(
            Question(f"actions of the large run: {name}", _ACTIONS, {"run": large, "filter": filter})
        )
        found.append(
            Question(f"totalCount of the large run: {name}", _COUNT_ACTIONS, {"run": large, "filter": filter})
        )
    for order in ("CREATED_AT", "UPDATED_AT", "ENDED_AT", "DURATION", "PHASE", "NAME"):
        by = {"field": order, "direction": "DESC"}
        found.append(
            Question(f"actions of the large run by {order}", _ACTIONS, {"run": large, "orderBy": by})
        )
    run_query = f"query ($id: RunIdentifierInput!) {{ run(id: $id) {{ {_RUN_FIELDS} %s }} }}"
    action_query = f"query ($id: ActionIdentifierInput!) {{ action(id: $id) {{ {_ACTION_FIELDS} %s }} }}"
    found += [
        Question("run", run_query % "", {"id": ordinary}),
        Question(
            "run: phaseCounts", run_query % "rootAction { phaseCounts { phase count } }", {"id": ordinary}
        ),
        Question(
            "large run: phaseCounts", run_query % "rootAction { phaseCounts { phase count } }", {"id": large}
        ),
        Question(
            "large run: children",
            run_query % f"rootAction {{ children(first: 100) {{ nodes {{ {_ACTION_FIELDS} }} }} }}",
            {"id": large},
        ),
        Question(
            "large run: children counted",
            run_query % "rootAction { children(first: 1) { totalCount } }",
            {"id": large},
        ),
        Question("action", action_query % "", {"id": root}),
        Question(
            "busy action: attempts",
            action_query % "attemptHistory { attempt phase }",
            {"id": action},
        ),
        Question(
            "busy action: events",
            action_query % "events(last: 50) { nodes { attempt phase version } }",
            {"id": action},
        ),
        Question("tasks of a week", _TASKS, {"filter": dates}),
        Question("tasks", _TASKS),
        Question("grid of the newest runs", _GRID),
        Question("grid of a task", _GRID, {"filter": {"taskName": "pipelines.task_42"}}),
        Question("grid of the large run", _GRID, {"filter": {"taskName": "pipelines.sweep"}}),
        Question("pendingAborts", "{ pendingAborts(first: 50) { nodes { name } } }"),
        Question("projects", "{ projects { name domains } }"),
    ]
    for days in (1, 7, 174):
        began = {**dates, "startDate": (now - timedelta(days=days)).isoformat()}
        found.append(Question(f"runHistogram of {days} days", _HISTOGRAM, began))
    in_run = "$run: RunIdentifierInput!"
    of_attempt = f'run: $run, actionName: "{BUSY_ACTION}", attempt: 50'
    event = "attempt phase version occurredAt"
    found += [
        _watch("run", f"{_RUN_FIELDS}", "$id: RunIdentifierInput!", "id: $id", id=large),
        _watch("action", f"{_ACTION_FIELDS}", "$id: ActionIdentifierInput!", "id: $id", id=action),
        _watch("actions", f"kind actions {{ {_ACTION_FIELDS} }}", in_run, "run: $run", run=large),
        _watch("events", f"kind events {{ {event} }}", in_run, "run: $run", run=large),
        _watch("events", f"kind events {{ {event} }}", in_run, of_attempt, "of an attempt", run=large),
        _watch("actionStates", "kind actions { name }"),
        _watch("abortRequests", "kind actions { name }"),
    ]
    for name in ("all", "search, nothing", "phase of no run", "label, nothing", "task, nothing"):
        runs = f"kind runs {{ {_RUN_FIELDS} }}"
        found.append(
            _watch("runs", runs, "$filter: RunFilter", "filter: $filter", name, filter=FILTERS[name])
        )
    return found


def _watch(
    field: str, fields: str, parameters: str = "", arguments: str = "", name: str = "", **variables: Any
) -> Question:
    """A subscription."""
    parameters, arguments = (f"({each})" if each else "" for each in (parameters, arguments))
    text = f"subscription {parameters} {{ {field}{arguments} {{ {fields} }} }}"
    return Question(f"subscription: {field} {name}".strip(), text, variables, True)
