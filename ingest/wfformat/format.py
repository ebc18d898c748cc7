"""Reads and validates WfFormat, the format of WfCommons for recordings of workflow executions.

The format: https://github.com/wfcommons/WfFormat. Version 1.6 only adds optional fields to 1.5;
earlier versions are laid out differently.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from graphlib import CycleError, TopologicalSorter
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from unicodedata import category

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic.functional_validators import AfterValidator, BeforeValidator

from ingest.wfformat.jsonfile import InvalidFile, read_json, spell
from repo.domain.artifacts import MAX_INLINE, ArtifactKind
from repo.domain.identifiers import MAX_LENGTH
from repo.domain.logs import MAX_STREAM_NAME, MAX_STREAMS, LogLevel

VERSIONS = ("1.5", "1.6")
_MAX_SECONDS = 1_000_000_000
"""Seconds (31 years). Longer times are errors and would overflow a date."""

_UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}


def _parse_time(value: object) -> datetime:
    """A time in UTC. Besides ISO 8601, engines write 01-22-21T05:05:55Z (month, day, year); a time without
    an offset is UTC."""
    if not isinstance(value, str):
        raise ValueError("expected a date and time as text")
    for parse in (datetime.fromisoformat, partial(_strptime, "%m-%d-%yT%H:%M:%S%z")):
        try:
            time = parse(value)
            if time.tzinfo is None:
                time = time.replace(tzinfo=UTC)
            return time.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    raise ValueError("expected a date and time, such as 2023-03-29T10:02:36-10:00")


def _strptime(form: str, value: str) -> datetime:
    return datetime.strptime(value, form)  # noqa: DTZ007 -- its only form has an offset


def check_name(value: str) -> str:
    """The value. Raises ValueError if the API would reject it as a name."""
    if not 1 <= len(value) <= MAX_LENGTH:
        raise ValueError(f"expected 1 to {MAX_LENGTH} characters")
    if any(category(character) in _UNPRINTABLE for character in value):
        raise ValueError("expected printable characters")
    return value


Timestamp = Annotated[datetime, BeforeValidator(_parse_time)]
Name = Annotated[str, AfterValidator(check_name)]
Seconds = Annotated[float, Field(ge=0, le=_MAX_SECONDS)]
Amount = Annotated[float, Field(ge=0)]


class _Model(BaseModel):
    # Strict: the text "12" is not a number. Unknown fields are ignored.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, alias_generator=to_camel)


class SpecifiedTask(_Model):
    id: Name
    name: str
    parents: list[str]
    children: list[str]
    input_files: list[str] = []
    output_files: list[str] = []


class File(_Model):
    id: str
    size_in_bytes: Annotated[int, Field(ge=0)]


class Specification(_Model):
    tasks: Annotated[list[SpecifiedTask], Field(min_length=1)]
    files: list[File] = []


class Command(_Model):
    program: str | None = None
    arguments: list[str] = []


class Line(_Model):
    """A line of a task's log, which WfFormat does not have."""

    text: str
    stream: Annotated[str, Field(pattern=rf"^[ -~]{{1,{MAX_STREAM_NAME}}}$")] = "stdout"
    level: Literal[*LogLevel.__members__] | None = None  # type: ignore[valid-type]
    at: Timestamp | None = None


class Artifact(_Model):
    """A file of a task with its content, which WfFormat does not have."""

    name: Name
    kind: Literal[*ArtifactKind.__members__] = "FILE"  # type: ignore[valid-type]
    media_type: str | None = None
    json_: Annotated[Any, Field(alias="json")] = None
    text: str | None = None
    base64: str | None = None

    @model_validator(mode="after")
    def _has_one_content(self) -> Self:
        contents = [self.json_, self.text, self.base64]
        if sum(each is not None for each in contents) != 1:
            raise ValueError("expected the content in one of json, text and base64")
        size = len((self.text or "").encode())
        if self.base64 is not None:
            size = len(base64.b64decode(self.base64, validate=True))  # its error is a ValueError
        if size > MAX_INLINE:
            raise ValueError(f"expected at most {MAX_INLINE} bytes of content")
        return self


class ExecutedTask(_Model):
    id: str
    runtime_in_seconds: Seconds
    executed_at: Timestamp | None = None
    command: Command | None = None
    core_count: Amount | None = None
    avg_cpu: Annotated[Amount | None, Field(alias="avgCPU")] = None
    read_bytes: Amount | None = None
    written_bytes: Amount | None = None
    memory_in_bytes: Amount | None = None
    energy_in_kwh: Annotated[Amount | None, Field(alias="energyInKWh")] = None
    avg_power_in_w: Annotated[Amount | None, Field(alias="avgPowerInW")] = None
    priority: float | None = None
    machines: list[str] = []
    logs: list[Line] = []
    artifacts: list[Artifact] = []

    @model_validator(mode="after")
    def _has_few_streams(self) -> Self:
        if len({line.stream for line in self.logs}) > MAX_STREAMS:
            raise ValueError(f"expected at most {MAX_STREAMS} streams")
        return self


class Machine(_Model):
    node_name: str
    model_config = ConfigDict(extra="allow")


class Execution(_Model):
    makespan_in_seconds: Seconds
    executed_at: Timestamp
    tasks: Annotated[list[ExecutedTask], Field(min_length=1)]
    machines: list[Machine] = []


class Workflow(_Model):
    specification: Specification
    execution: Execution


class RuntimeSystem(_Model):
    name: str
    version: str = ""
    url: str | None = None


AnyTask = TypeVar("AnyTask", SpecifiedTask, ExecutedTask)


class _Document(_Model):
    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    runtime_system: RuntimeSystem | None = None
    workflow: Workflow


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its specification, its execution, and the ids of its dependencies."""

    specified: SpecifiedTask
    executed: ExecutedTask
    dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """One validated execution of a workflow."""

    path: Path
    digest: str
    name: str
    description: str | None
    engine: RuntimeSystem | None
    executed_at: datetime
    makespan_in_seconds: float
    machines: tuple[Machine, ...]
    file_sizes: Mapping[str, int]
    tasks: tuple[Task, ...]
    """In topological order: every task after its dependencies."""


def read_recording(path: Path) -> Recording:
    """The recording in a file. Raises InvalidFile, which names the position of the first mistake."""
    content, document = read_json(path)
    if not isinstance(document, dict):
        raise InvalidFile(path, "document: expected a JSON object")
    version = document.get("schemaVersion")
    if version not in VERSIONS:
        found = "nothing" if version is None else _short(version)
        raise InvalidFile(path, f"schemaVersion: expected {' or '.join(VERSIONS)} of WfFormat, found {found}")
    try:
        parsed = _Document.model_validate(document)
    except ValidationError as error:
        raise InvalidFile(path, _explain(error)) from None
    execution = parsed.workflow.execution
    return Recording(
        path=path,
        digest=sha256(content).hexdigest(),
        name=parsed.name,
        description=parsed.description,
        engine=parsed.runtime_system,
        executed_at=execution.executed_at,
        makespan_in_seconds=execution.makespan_in_seconds,
        machines=tuple(execution.machines),
        file_sizes={file.id: file.size_in_bytes for file in parsed.workflow.specification.files},
        tasks=tuple(_tasks(parsed.workflow, partial(InvalidFile, path))),
    )


def _tasks(workflow: Workflow, invalid: Callable[[str], InvalidFile]) -> Iterable[Task]:
    specified = _by_id(workflow.specification.tasks, "workflow.specification.tasks", invalid)
    executed = _by_id(workflow.execution.tasks, "workflow.execution.tasks", invalid)
    for index, task in enumerate(workflow.execution.tasks):
        if task.id not in specified:
            place = f"workflow.execution.tasks[{index}].id"
            raise invalid(f"{place}: {_short(task.id)} is not among workflow.specification.tasks")
    dependencies: dict[str, dict[str, None]] = {id_: {} for id_ in specified}
    for index, (id_, specification) in enumerate(specified.items()):
        place = f"workflow.specification.tasks[{index}]"
        if id_ not in executed:
            raise invalid(f"{place}.id: {_short(id_)} is not among workflow.execution.tasks")
        for field, relatives in (("parents", specification.parents), ("children", specification.children)):
            for number, relative in enumerate(relatives):
                if relative not in specified:
                    raise invalid(f"{place}.{field}[{number}]: there is no task {_short(relative)}")
                # An edge counts even if only one of its ends mentions it.
                child, parent = (id_, relative) if field == "parents" else (relative, id_)
                dependencies[child][parent] = None
    try:
        order = list(TopologicalSorter(dependencies).static_order())
    except CycleError as error:
        circle = " → ".join(_short(id_) for id_ in error.args[1][:6])
        raise invalid(
            f"workflow.specification.tasks: tasks wait for each other in a circle: {circle}"
        ) from None
    for id_ in order:
        yield Task(specified[id_], executed[id_], tuple(dependencies[id_]))


def _by_id(tasks: Iterable[AnyTask], place: str, invalid: Callable[[str], InvalidFile]) -> dict[str, AnyTask]:
    found: dict[str, AnyTask] = {}
    for index, task in enumerate(tasks):
        if found.setdefault(task.id, task) is not task:
            raise invalid(f"{place}[{index}].id: {_short(task.id)} is there twice")
    return found


def _explain(error: ValidationError) -> str:
    first, *others = error.errors(include_url=False)
    problem = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if first["type"] == "missing":
        problem = "is missing"
    elif first["msg"].startswith("Input should be"):
        problem = f"expected {problem}, found {_short(first['input'])}"
    elif first["type"] == "value_error":
        problem = f"{problem}, found {_short(first['input'])}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{spell(first['loc'])}: {problem}{more}"


def _short(value: Any) -> str:
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) <= 140 else text[:137] + "..."
