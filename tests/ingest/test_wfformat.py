"""Reading WfFormat recordings, and the messages about invalid files."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from ingest.wfformat.format import read_recording
from ingest.wfformat.importer import import_files
from ingest.wfformat.jsonfile import InvalidFile
from tests import DATA

DIAMOND = DATA / "diamond.json"

Document = dict[str, Any]


def _document() -> Document:
    document: Document = json.loads(DIAMOND.read_text())
    return document


def _specified(document: Document, index: int) -> Document:
    task: Document = document["workflow"]["specification"]["tasks"][index]
    return task


def _executed(document: Document, index: int) -> Document:
    task: Document = document["workflow"]["execution"]["tasks"][index]
    return task


def _saved(tmp_path: Path, document: Document) -> Path:
    path = tmp_path / "invalid.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_tasks_follow_their_dependencies() -> None:
    recording = read_recording(DIAMOND)
    seen: set[str] = set()
    for task in recording.tasks:
        assert seen.issuperset(task.dependencies)
        seen.add(task.specified.id)
    assert len(seen) == 10
    assert {task.specified.id: set(task.dependencies) for task in recording.tasks}["report_8"] == {
        "größe/měření 5",
        "plot_6",
        "plot_7",
    }


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023-03-29T10:02:36-10:00", datetime(2023, 3, 29, 20, 2, 36, tzinfo=UTC)),
        ("20200403T154235+0000", datetime(2020, 4, 3, 15, 42, 35, tzinfo=UTC)),
        ("01-22-21T05:05:55Z", datetime(2021, 1, 22, 5, 5, 55, tzinfo=UTC)),
        ("2021-01-22T05:32:40.813375", datetime(2021, 1, 22, 5, 32, 40, 813375, tzinfo=UTC)),
    ],
)
def test_all_date_formats_of_engines_are_read(tmp_path: Path, text: str, moment: datetime) -> None:
    document = _document()
    document["workflow"]["execution"]["executedAt"] = text
    assert read_recording(_saved(tmp_path, document)).executed_at == moment


def test_version_1_6_is_read_like_1_5(tmp_path: Path) -> None:
    document = _document() | {"schemaVersion": "1.6"}
    assert read_recording(_saved(tmp_path, document)).tasks == read_recording(DIAMOND).tasks


def test_an_edge_mentioned_only_by_the_parent_is_a_dependency(tmp_path: Path) -> None:
    document = _document()
    _specified(document, 9)["parents"] = []
    recording = read_recording(_saved(tmp_path, document))
    assert {task.specified.id: task.dependencies for task in recording.tasks}["root"] == ("audit_9",)


def _no_version(document: Document) -> None:
    del document["schemaVersion"]


def _old_version(document: Document) -> None:
    document["schemaVersion"] = "1.4"


def _no_execution(document: Document) -> None:
    del document["workflow"]["execution"]


def _no_tasks(document: Document) -> None:
    document["workflow"]["execution"]["tasks"] = []


def _negative_runtime(document: Document) -> None:
    _executed(document, 3)["runtimeInSeconds"] = -3


def _text_runtime(document: Document) -> None:
    _executed(document, 3)["runtimeInSeconds"] = "12"


def _nan_runtime(document: Document) -> None:
    _executed(document, 3)["runtimeInSeconds"] = float("nan")


def _huge_runtime(document: Document) -> None:
    _executed(document, 3)["runtimeInSeconds"] = 1e300


def _true_runtime(document: Document) -> None:
    _executed(document, 3)["runtimeInSeconds"] = True


def _bad_date(document: Document) -> None:
    document["workflow"]["execution"]["executedAt"] = "yesterday"


def _number_as_date(document: Document) -> None:
    document["workflow"]["execution"]["executedAt"] = 1711706556


def _after_9999(document: Document) -> None:
    document["workflow"]["execution"]["executedAt"] = "9999-12-31T23:59:59Z"


def _duplicate_id(document: Document) -> None:
    _specified(document, 2)["id"] = "fetch_1"


def _duplicate_execution(document: Document) -> None:
    tasks = document["workflow"]["execution"]["tasks"]
    tasks.append(copy.deepcopy(tasks[0]))


def _unknown_parent(document: Document) -> None:
    _specified(document, 1)["parents"] = ["fetch_1", "nobody"]


def _unknown_child(document: Document) -> None:
    _specified(document, 1)["children"] = ["nobody"]


def _circle(document: Document) -> None:
    _specified(document, 0)["parents"] = ["report_8"]


def _own_parent(document: Document) -> None:
    _specified(document, 8)["parents"] = ["audit_9"]


def _only_executed(document: Document) -> None:
    _executed(document, 0)["id"] = "stranger"


def _only_specified(document: Document) -> None:
    del document["workflow"]["execution"]["tasks"][0]


def _long_id(document: Document) -> None:
    _specified(document, 0)["id"] = "x" * 256


def _line_in_id(document: Document) -> None:
    _specified(document, 0)["id"] = "a\nb"


def _nul(document: Document) -> None:
    _executed(document, 1)["command"]["arguments"] = ["a\0b"]


def _half_pair(document: Document) -> None:
    _executed(document, 1)["command"]["program"] = "\ud800"


def _huge_number(document: Document) -> None:
    _executed(document, 1)["memoryInBytes"] = 2**70


def _deep(document: Document) -> None:
    nested: list[Any] = []
    for _ in range(70):
        nested = [nested]
    document["extra"] = nested


def _two_contents(document: Document) -> None:
    _executed(document, 2)["artifacts"] = [{"name": "x", "text": "a"}, {"name": "y", "text": "a", "json": 1}]


def _bad_base64(document: Document) -> None:
    _executed(document, 2)["artifacts"] = [{"name": "x", "base64": "a"}]


def _large_artifact(document: Document) -> None:
    _executed(document, 2)["artifacts"] = [{"name": "x", "text": "é" * 600_000}]


def _bad_level(document: Document) -> None:
    _executed(document, 2)["logs"] = [{"text": "x", "level": "LOUD"}]


@pytest.mark.parametrize(
    ("damage", "place", "expected"),
    [
        (_no_version, "schemaVersion", "expected 1.5 or 1.6 of WfFormat, found nothing"),
        (_old_version, "schemaVersion", "expected 1.5 or 1.6 of WfFormat, found '1.4'"),
        (_no_execution, "workflow.execution", "is missing"),
        (_no_tasks, "workflow.execution.tasks", "at least 1 item"),
        (
            _negative_runtime,
            "workflow.execution.tasks[3].runtimeInSeconds",
            "greater than or equal to 0, found -3",
        ),
        (
            _text_runtime,
            "workflow.execution.tasks[3].runtimeInSeconds",
            "expected a valid number, found '12'",
        ),
        (_nan_runtime, "workflow.execution.tasks[3].runtimeInSeconds", "expected a finite number"),
        (_huge_runtime, "workflow.execution.tasks[3].runtimeInSeconds", "less than or equal to 1000000000"),
        (
            _true_runtime,
            "workflow.execution.tasks[3].runtimeInSeconds",
            "expected a valid number, found True",
        ),
        (_bad_date, "workflow.execution.executedAt", "expected a date and time"),
        (_number_as_date, "workflow.execution.executedAt", "expected a date and time"),
        (_after_9999, "workflow.execution", "ends after the year 9999"),
        (_duplicate_id, "workflow.specification.tasks[2].id", "'fetch_1' is there twice"),
        (_duplicate_execution, "workflow.execution.tasks[10].id", "'root' is there twice"),
        (_unknown_parent, "workflow.specification.tasks[1].parents[1]", "there is no task 'nobody'"),
        (_unknown_child, "workflow.specification.tasks[1].children[0]", "there is no task 'nobody'"),
        (_circle, "workflow.specification.tasks", "wait for each other in a circle"),
        (_own_parent, "workflow.specification.tasks", "'audit_9' → 'audit_9'"),
        (_only_executed, "workflow.execution.tasks[0].id", "'stranger' is not among"),
        (_only_specified, "workflow.specification.tasks[9].id", "'root' is not among"),
        (_long_id, "workflow.specification.tasks[0].id", "expected 1 to 255 characters"),
        (_line_in_id, "workflow.specification.tasks[0].id", "expected printable characters"),
        (_nul, "workflow.execution.tasks[1].command.arguments[0]", "U+0000"),
        (_half_pair, "workflow.execution.tasks[1].command.program", "surrogate"),
        (_huge_number, "workflow.execution.tasks[1].memoryInBytes", "at most 64 bits"),
        (_deep, "extra[0][0]", "nests deeper"),
        (_two_contents, "workflow.execution.tasks[2].artifacts[1]", "one of json, text and base64"),
        (_bad_base64, "workflow.execution.tasks[2].artifacts[0]", "base64"),
        (_large_artifact, "workflow.execution.tasks[2].artifacts[0]", "at most 1048576 bytes"),
        (_bad_level, "workflow.execution.tasks[2].logs[0].level", "'DEBUG', 'INFO'"),
    ],
)
async def test_an_invalid_recording_names_the_position_and_what_was_expected(
    tmp_path: Path, damage: Callable[[Document], None], place: str, expected: str
) -> None:
    document = _document()
    damage(document)
    path = _saved(tmp_path, document)
    code, output = await _import_without_a_server(DIAMOND, path)
    assert code == 2
    assert output.startswith(f"{path}: {place}: ")
    assert expected in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b'{"name": "x",\n "a": tru}', "line 2, column 7: not valid JSON"),
        (b'{"name": "\xff"}', "is not UTF-8 text (byte 10)"),
        (b"[]", "document: expected a JSON object"),
        (b'"text"', "document: expected a JSON object"),
        (b"[" * 200_000, "nests deeper than"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number that is too large"),
    ],
)
def test_a_file_that_is_not_a_json_object_is_described(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "invalid.json"
    path.write_bytes(content)
    with pytest.raises(InvalidFile) as caught:
        read_recording(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)


async def test_a_folder_and_a_missing_file_are_described(tmp_path: Path) -> None:
    code, output = await _import_without_a_server(tmp_path)
    assert (code, output) == (2, f"{tmp_path}: cannot be read (Is a directory)\n")
    missing = tmp_path / "missing.json"
    code, output = await _import_without_a_server(missing)
    assert (code, output) == (2, f"{missing}: cannot be read (No such file or directory)\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"speed": 0.0}, "the speed must be above 0"),
        ({"speed": float("nan")}, "the speed must be above 0"),
        ({"name": "a\nb"}, "name: expected printable characters"),
        ({"project": ""}, "project: expected 1 to 255 characters"),
        ({"url": "ftp://user:password@example.org"}, "'ftp://…@example.org' is not a URL"),
        ({"url": "http://localhost:99999"}, "is not a URL"),
    ],
)
async def test_an_invalid_argument_is_reported_in_one_line(arguments: dict[str, Any], expected: str) -> None:
    code, output = await _import_without_a_server(DIAMOND, **arguments)
    assert code == 2
    assert expected in output
    assert output.count("\n") == 1


async def test_a_name_for_two_files_is_rejected() -> None:
    code, output = await _import_without_a_server(DIAMOND, DATA / "timed.json", name="own")
    assert (code, output) == (2, "a name goes with a single file\n")


async def _import_without_a_server(*paths: Path, **arguments: Any) -> tuple[int, str]:
    """Runs an import without a server; returns the exit code and the output."""

    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise AssertionError("a invalid file reached the server")

    console = Console(file=StringIO(), width=200)
    defaults: dict[str, Any] = {
        "url": "http://localhost",
        "console": console,
        "transport": httpx2.MockTransport(refuse),
    }
    code = await import_files(paths, **(defaults | arguments))
    assert isinstance(console.file, StringIO)
    return code, console.file.getvalue()
