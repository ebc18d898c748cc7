"""Runs for the tests of commands, reported to a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.commands import Remote

NIGHTLY = "shop/production/nightly-1"
BEGAN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
MESSAGE = 'Traceback (most recent call last):\n  File "clean.py", line 7\nValueError: price has 118 rows'
REPORT = """mutation ($reports: [ReportInput!]!) {
  report(reports: $reports) { failed results { error { message } } }
}"""
APPEND = "mutation ($input: AppendLogInput!) { appendLog(input: $input) { appended } }"
ARTIFACT = "mutation ($input: StoreArtifactInput!) { storeArtifact(input: $input) { name } }"


def at(seconds: int) -> str:
    """The time of that many seconds after the start of the runs."""
    return (BEGAN + timedelta(seconds=seconds)).isoformat()


def minutes() -> str:
    """A pattern of the whole minutes that the first run has run, as printed a few seconds ago. Tests may run
    long after they were collected."""
    passed = int((datetime.now(UTC) - BEGAN).total_seconds() // 60)
    return f"({passed}|{passed - 1}) m"


def action(name: str, run: str = NIGHTLY) -> dict[str, str]:
    project, domain, run_name = run.split("/", 2)
    return {"project": project, "domain": domain, "runName": run_name, "name": name}


def report(remote: Remote, *reports: dict[str, Any]) -> None:
    answer = remote.ask(REPORT, reports=list(reports))["report"]
    assert answer["failed"] == 0, answer


def append(remote: Remote, lines: list[Any], name: str = "load", run: str = NIGHTLY, **rest: Any) -> None:
    """Appends lines, as text or as LogLineInput, to the log of the first attempt."""
    texts = [{"text": each} if isinstance(each, str) else each for each in lines]
    remote.ask(APPEND, input={"action": action(name, run), "lines": texts} | rest)


def phase(name: str, phase: str, seconds: int, run: str = NIGHTLY, **rest: Any) -> dict[str, Any]:
    return {"id": action(name, run), "phase": phase, "occurredAt": at(seconds)} | rest


def new(name: str, parent: str | None, seconds: int = 0, run: str = NIGHTLY, **rest: Any) -> dict[str, Any]:
    details = {"parentName": parent, "createdAt": at(seconds)} | rest
    return {"id": action(name, run), "details": details}


def tell(remote: Remote) -> None:
    """Three runs: `nightly-1` in production, which runs, has failed and retried actions, a log, links and
    artifacts; `nightly-2`, which succeeded; and one in staging that is queued and has a name of the first."""
    task = {"project": "shop", "domain": "production", "name": "etl", "version": "v7"}
    failed = {"kind": "USER", "code": "SchemaMismatch", "message": MESSAGE}
    links = [{"name": "cluster", "uri": "https://logs.example/clean"}]
    report(
        remote,
        new("main", None, task=task, labels=[{"key": "team", "value": "data"}]),
        new("load", "main", 1),
        new("clean", "main", 2, dependencies=["load"]),
        phase("main", "RUNNING", 3),
        phase("load", "RUNNING", 4),
        phase("load", "SUCCEEDED", 20, metrics=[{"name": "rows", "value": 118}]),
        phase("clean", "FAILED", 30, error=failed, logs=links),
        phase("clean", "RUNNING", 40, attempt=2),
        phase("clean", "FAILED", 60, attempt=2, error=failed),
        {"id": action("main"), "progress": {"done": 9, "total": 20}},
        new("main", None, 60, "shop/production/nightly-2", functionName="shop.report"),
        phase("main", "SUCCEEDED", 90, "shop/production/nightly-2"),
        new("main", None, 120, "shop/staging/nightly-1"),
    )
    content = {"kind": "REPORT", "name": "report.md", "text": "# 118 rows"}
    remote.ask(ARTIFACT, input={"action": action("clean"), "attempt": 2} | content)
    levels = ["INFO", "INFO", "WARNING", "ERROR", None]
    append(
        remote,
        [{"text": f"row {n}", "level": level} for n, level in enumerate(levels, 1)]
        + ["\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jend\ttab"],
    )
    append(remote, ["a warning"], stream="stderr")
