"""Converts a recording into a plan.

Where a recording leaves something open, these rules apply:

- A task with a recorded start keeps it. Otherwise it starts when its dependencies have ended, or with the
  run. Recordings do not say how many tasks the engine ran at once, so machines and cores are no limit.
- A task runs for exactly `runtimeInSeconds`, to the millisecond. Its action is created when it could have
  started, so `durationMs` is the runtime plus any wait.
- The run begins at the workflow's `executedAt` and takes `makespanInSeconds`. A recorded start of a task
  may make it begin earlier or end later, since a root action spans its children. The tasks may end before
  the makespan, which includes the engine's overhead.
- WfFormat does not record failures: everything succeeds in its first attempt.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from ingest.plan import Json, Line, Plan, PlannedAction, Step
from ingest.wfformat.format import Recording, RuntimeSystem, Task
from ingest.wfformat.jsonfile import InvalidFile
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase

LIVE = "-live"
"""The suffix of the name of a run that is replayed with the current time."""
_MAX_NAME_LENGTH = 200
_METRICS = {
    "runtime_in_seconds",
    "core_count",
    "avg_cpu",
    "read_bytes",
    "written_bytes",
    "memory_in_bytes",
    "energy_in_kwh",
    "avg_power_in_w",
}
_NUMBERED = re.compile(r"(.+?)[_-](?:ID)?\d+")


def milliseconds(seconds: float) -> int:
    """A recorded duration in milliseconds."""
    return round(seconds * 1000)


def run_name(recording: Recording, live: bool) -> str:
    """The name of the run: the workflow's name and a digest of the content."""
    readable = "".join(character if character.isprintable() else "-" for character in recording.name)
    return f"{readable[:_MAX_NAME_LENGTH]}-{recording.digest[:10]}{LIVE if live else ''}"


def plan_recording(recording: Recording, run: RunIdentifier) -> Plan:
    """What a real executor would have reported. Raises InvalidFile if it ends after the year 9999."""
    try:
        return _plan(recording, run)
    except OverflowError:
        raise InvalidFile(recording.path, "workflow.execution: ends after the year 9999") from None


def _plan(recording: Recording, run: RunIdentifier) -> Plan:
    recorded = [task.executed.executed_at for task in recording.tasks if task.executed.executed_at]
    began_at = min([recording.executed_at, *recorded])
    base = milliseconds((recording.executed_at - began_at).total_seconds())
    root_name = _root_name(recording)
    ends: dict[str, int] = {}
    actions = []
    for task in recording.tasks:
        ready = max((ends[id_] for id_ in task.dependencies), default=base)
        start = ready
        if task.executed.executed_at:
            start = milliseconds((task.executed.executed_at - began_at).total_seconds())
        end = start + milliseconds(task.executed.runtime_in_seconds)
        ends[task.specified.id] = end
        action = _action(recording, task, run, root_name, (min(ready, start), start, end))
        lines = tuple(_lines(task, began_at, start))
        files = tuple(each.model_dump(by_alias=True, exclude_none=True) for each in task.executed.artifacts)
        actions.append(replace(action, lines=lines, artifacts=files))
    last = max(base + milliseconds(recording.makespan_in_seconds), *ends.values())
    plan = Plan(run, began_at, (_root(recording, run, root_name, last), *actions))
    plan.time_at(last)
    return plan


def _root_name(recording: Recording) -> str:
    taken = {task.specified.id for task in recording.tasks}
    name = "root"
    while name in taken:
        name = f"_{name}"
    return name


def _root(recording: Recording, run: RunIdentifier, name: str, last: int) -> PlannedAction:
    engine = recording.engine
    spec: Json = {
        "workflow": recording.name,
        "description": recording.description,
        "file": recording.path.name,
        "runtimeSystem": engine and engine.model_dump(by_alias=True),
        "executedAt": recording.executed_at.isoformat(),
        "makespanInSeconds": recording.makespan_in_seconds,
        "machines": [machine.model_dump(by_alias=True) for machine in recording.machines],
    }
    fields = _fields(engine) | {
        "spec": spec,
        "source": "TRACKED",
        "task": _task(recording, run, recording.name),
        "labels": [
            {"key": key, "value": value}
            for key, value in (("engine", engine and engine.name), ("workflow", recording.name))
            if value
        ],
    }
    steps = (
        Step(0, ActionPhase.QUEUED),
        Step(0, ActionPhase.RUNNING),
        Step(
            last, ActionPhase.SUCCEEDED, event={"info": {"makespanInSeconds": recording.makespan_in_seconds}}
        ),
    )
    return PlannedAction(name, None, steps, fields)


def _action(
    recording: Recording, task: Task, run: RunIdentifier, parent_name: str, times: tuple[int, int, int]
) -> PlannedAction:
    specified, executed = task.specified, task.executed
    command = executed.command
    group = _group(task)
    spec: Json = {
        "name": specified.name,
        "command": command and command.model_dump(),
        "inputFiles": specified.input_files,
        "outputFiles": specified.output_files,
    }
    if executed.priority is not None:
        spec["priority"] = _plain(executed.priority)
    fields = _fields(recording.engine) | {
        "group": group,
        "spec": spec,
        "task": _task(recording, run, group),
        "functionName": _program(task),
    }
    machines = executed.machines
    if not machines and len(recording.machines) == 1:
        machines = [recording.machines[0].node_name]
    where = {"cluster": ", ".join(machines)} if machines else {}
    metrics = executed.model_dump(by_alias=True, include=_METRICS, exclude_none=True)
    sizes = [{"id": id_, "sizeInBytes": recording.file_sizes.get(id_)} for id_ in specified.output_files]
    created, start, end = times
    steps = (
        Step(created, ActionPhase.QUEUED),
        Step(start, ActionPhase.RUNNING, event={**where}),
        Step(
            end,
            ActionPhase.SUCCEEDED,
            event={
                **where,
                "info": {key: _plain(value) for key, value in metrics.items()},
                "outputs": {"files": sizes},
            },
        ),
    )
    return PlannedAction(specified.id, parent_name, steps, fields, task.dependencies)


def _lines(task: Task, began_at: datetime, start: int) -> Iterator[Line]:
    """The log of a task. A line without a time has that of the line before, the first one that of the
    start."""
    at = start
    for line in task.executed.logs:
        if line.at is not None:
            at = milliseconds((line.at - began_at).total_seconds())
        yield Line(at, line.text, line.stream, line.level)


def _fields(engine: RuntimeSystem | None) -> Json:
    if engine is None:
        return {"createdBy": {"kind": "APPLICATION", "subject": "rungraph-import"}}
    return {
        "taskType": engine.name.lower(),
        "environmentName": f"{engine.name} {engine.version}".strip(),
        "createdBy": {"kind": "APPLICATION", "subject": engine.name.lower() or "rungraph-import"},
    }


def _task(recording: Recording, run: RunIdentifier, name: str) -> Json:
    # A recording has no version of its workflow; its digest at least is distinct.
    return {"project": run.project, "domain": run.domain, "name": name, "version": recording.digest[:10]}


def _group(task: Task) -> str:
    """The kind of task. Some engines give it as the name; others append a number: mProject_ID0000001."""
    name, id_ = task.specified.name, task.specified.id
    numbered = _NUMBERED.fullmatch(name) if name == id_ else None
    return numbered[1] if numbered else name or id_


def _program(task: Task) -> str | None:
    program = task.executed.command and task.executed.command.program
    # Nextflow records a whole script as the program, which is not a function name.
    return program if program and len(program.split()) == 1 else None


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def critical_path_ms(plan: Plan) -> int:
    """The duration of the critical path: the longest chain of dependent tasks, in milliseconds."""
    longest: dict[str, int] = {}
    for action in plan.actions[1:]:
        runtime = action.steps[-1].offset_ms - (action.start_of(action.steps[-1].attempt) or 0)
        longest[action.name] = runtime + max((longest[name] for name in action.dependencies), default=0)
    return max(longest.values())
