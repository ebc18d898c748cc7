"""A run whose executor falls silent: its lease ends, and the server ends the run as lost."""

from datetime import UTC, datetime, timedelta

from ingest.demo.scenarios import PROJECT, ROOT
from ingest.executor import Executor
from ingest.plan import Json
from repo.domain.identifiers import RunIdentifier

LEASE_S = 30
"""How long its only lease lasts."""
_STEP = "copy-objects"


def _report(run: Json, name: str, phase: str, at: datetime, details: Json) -> Json:
    id = {"project": run["project"], "domain": run["domain"], "runName": run["name"], "name": name}
    return {"id": id, "phase": phase, "occurredAt": at.isoformat(), "details": details}


async def start_lost_run(executor: Executor, seed: int) -> RunIdentifier:
    """Reports the beginning of a run with a lease that nobody renews. Raises ApiError."""
    lost = RunIdentifier(PROJECT, "production", f"export-archive-{seed:08x}")
    run: Json = {"project": lost.project, "domain": lost.domain, "name": lost.name}
    began = datetime.now(UTC) - timedelta(seconds=90)
    root: Json = {
        "functionName": "export_archive",
        "source": "SCHEDULE_TRIGGER",
        "createdBy": {"kind": "APPLICATION", "subject": "scheduler"},
        # Another executor than that of the demo, which would continue the run.
        "labels": [{"key": "executor", "value": "export-worker-7"}],
        "createdAt": began.isoformat(),
    }
    step = _report(run, _STEP, "RUNNING", began, {"parentName": ROOT, "createdAt": began.isoformat()})
    step["progress"] = {"done": 620, "total": 1000, "message": "objects"}
    await executor.report_items([_report(run, ROOT, "RUNNING", began, root), step])
    lines = [
        {"text": f"copied object {number}", "at": (began + timedelta(seconds=number / 7)).isoformat()}
        for number in range(1, 621)
    ]
    await executor.append_logs([{"action": step["id"], "lines": lines, "offset": 0}])
    await executor.renew_lease(run, "export-worker-7", LEASE_S)
    return lost
