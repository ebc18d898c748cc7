"""The demo's workflows, each varied by a seed."""

import random
from collections.abc import Callable
from datetime import datetime

from ingest.demo.script import Failure, Script
from ingest.plan import Json, Plan
from repo.domain.identifiers import RunIdentifier
from repo.domain.phases import ActionPhase, CacheStatus

PROJECT = "demo"
DOMAINS = ("development", "production")
EXECUTOR = "rungraph-demo"
ROOT = "root"

_OUT_OF_MEMORY = Failure("SYSTEM", "OOMKilled", "The container used more than its 4 GiB of memory")
_LOST_NODE = Failure("SYSTEM", "NodeLost", "The node was lost; the work is retried on another one")
_LATE = Failure("SYSTEM", "DeadlineExceeded", "It ran for longer than its limit", ActionPhase.TIMED_OUT)
_BAD_DATA = Failure("USER", "SchemaMismatch", "Column 'price' has 118 rows that are not numbers")


def plan_scenario(scenario: str, seed: int, pace: float = 1, began_at: datetime | None = None) -> Plan:
    """The plan of a run, the same for the same arguments. With `began_at` it is history, otherwise it is
    played live."""
    rng = random.Random(seed)
    domain = rng.choice(DOMAINS)
    run = RunIdentifier(PROJECT, domain, f"{scenario.replace('_', '-')}-{seed:08x}")
    script = Script(run, rng, pace)
    title, source, act = SCENARIOS[scenario]
    root: Json = {
        "functionName": scenario,
        "source": source,
        "createdBy": {"kind": "USER", "subject": f"user-{rng.randint(1, 4)}"},
        "labels": [
            {"key": "executor", "value": EXECUTOR},
            {"key": "scenario", "value": scenario},
            {"key": "priority", "value": rng.choice(("low", "normal", "high"))},
        ],
        "spec": {
            "title": title,
            "scenario": scenario,
            "seed": seed,
            "pace": pace,
            "beganAt": began_at and began_at.isoformat(),
        },
    }
    if source in ("SCHEDULE_TRIGGER", "ARTIFACT_TRIGGER"):
        root["createdBy"] = {"kind": "APPLICATION", "subject": "scheduler"}
        root["trigger"] = {"taskName": f"demo.{scenario}", "name": f"{scenario}-trigger", "revision": 3}
    script.open(ROOT, None, 0, state="started", **root)
    act(script)
    return script.plan(began_at or datetime.fromisoformat("2024-01-01T00:00:00+00:00"))


def _daily_report(script: Script) -> None:
    """Three stages; one table comes from the cache, one task is retried."""
    rng = script.rng
    script.open("extract", ROOT, 1, group="stages")
    ends = [
        script.cached("extract-customers", "extract", 2, {"rows": 18_204}, group="tables"),
        script.task(
            "extract-orders",
            "extract",
            2,
            rng.uniform(8, 20),
            group="tables",
            cache=CacheStatus.MISS,
            outputs={"rows": rng.randrange(90_000, 120_000)},
        ),
        script.task(
            "extract-returns", "extract", 2.5, rng.uniform(5, 12), group="tables", outputs={"rows": 4_812}
        ),
    ]
    now = max(ends) + 0.5
    script.close("extract", now)
    script.open("transform", ROOT, now, after=("extract",), group="stages")
    joined = script.task(
        "join-tables",
        "transform",
        now + 1,
        rng.uniform(8, 15),
        after=("extract-customers", "extract-orders", "extract-returns"),
        failures=(rng.choice((_OUT_OF_MEMORY, _LOST_NODE)),),
        outputs={"rows": 88_431},
    )
    now = script.task("aggregate", "transform", joined + 0.5, rng.uniform(5, 10), after=("join-tables",))
    script.close("transform", now + 0.5)
    script.open("publish", ROOT, now + 1, after=("transform",), group="stages")
    for format_ in ("html", "csv"):
        name, seconds = f"render-{format_}", rng.uniform(4, 9)
        end = script.task(name, "publish", now + 2, seconds, after=("aggregate",), group="formats")
        now = max(now, end)
    script.close("publish", now + 0.5)
    script.close(ROOT, now + 1, state="report published")


def _train_model(script: Script) -> None:
    """A few hundred trials, at most 24 at a time, each traced; the best one is kept."""
    rng = script.rng
    script.open("sweep", ROOT, 1, group="stages", state="waiting for slots")
    slots = [2.0] * 24
    trials = rng.randint(220, 280)
    for number in range(trials):
        slot = min(range(len(slots)), key=slots.__getitem__)
        flaky = rng.random() < 0.04
        slots[slot] = script.task(
            f"trial-{number:03d}",
            "sweep",
            slots[slot],
            rng.uniform(4, 16),
            group="trials",
            functionName="train_trial",
            failures=(_LOST_NODE,) if flaky else (),
            outputs={"loss": round(rng.uniform(0.05, 0.9), 4)},
            spec={"learningRate": round(10 ** rng.uniform(-4, -1), 6), "depth": rng.randint(2, 9)},
        )
    now = max(slots) + 1
    script.close("sweep", now, state=f"{trials} trials done")
    script.open("evaluate", ROOT, now, after=("sweep",), group="stages")
    before = "sweep"
    for part in ("load_best", "score", "compare"):
        seconds = rng.uniform(2, 6)
        now = script.task(part, "evaluate", now + 1, seconds, after=(before,), type="TRACE", group="traces")
        before = part
    script.close("evaluate", now + 0.5)
    script.close(ROOT, now + 1, state="model registered")


def _load_orders(script: Script) -> None:
    """A check of the data fails three times, and with it the run; the action beside it is aborted. It
    ignores the first two abort requests of a user."""
    rng = script.rng
    script.open("load", ROOT, 1, group="stages")
    end = script.task("fetch-files", "load", 2, rng.uniform(4, 9), outputs={"files": 31})
    script.close("load", end + 0.5)
    now = end + 1
    script.open("validate", ROOT, now, after=("load",), group="stages")
    after, seconds = ("fetch-files",), rng.uniform(4, 8)
    failed = script.task(
        "check-schema",
        "validate",
        now + 1,
        seconds,
        after=after,
        failures=(_BAD_DATA,) * 3,
        exhausts_retries=True,
    )
    script.task("count-duplicates", "validate", now + 1, 90, after=after, ignored_aborts=2)
    message = "check-schema failed for the third time"
    script.interrupt("count-duplicates", failed + 0.5, message)
    failure = Failure("USER", "ChildFailed", message)
    script.close("validate", failed + 1, failure)
    script.close(ROOT, failed + 1.5, failure, state="failed: the data is not as agreed")


def _publish_dataset(script: Script) -> None:
    """Waits for an approval in the middle."""
    rng = script.rng
    script.open("prepare", ROOT, 1, group="stages")
    now = script.task("build-dataset", "prepare", 2, rng.uniform(8, 15), outputs={"version": "v12"})
    script.close("prepare", now + 0.5)
    script.open("release", ROOT, now + 1, after=("prepare",), group="stages")
    approved = script.approval(
        "approve-release", "release", now + 2, rng.uniform(45, 120), after=("build-dataset",)
    )
    now = script.task(
        "copy-to-bucket", "release", approved + 0.5, rng.uniform(5, 10), after=("approve-release",)
    )
    script.close("release", now + 0.5)
    script.close(ROOT, now + 1, state="released")


def _sync_inventory(script: Script) -> None:
    """Recovers results of an earlier run; one step times out and is retried."""
    rng = script.rng
    script.open("warehouses", ROOT, 1, group="stages")
    ends = []
    for number in range(1, 9):
        name = f"warehouse-{number}"
        if number <= 3:
            ends.append(script.recovered(name, "warehouses", 2, {"items": 1_200 * number}, group="sites"))
        else:
            failures = (_LATE,) if number == 6 else ()
            seconds = rng.uniform(6, 18)
            ends.append(
                script.task(name, "warehouses", 2 + number / 4, seconds, failures=failures, group="sites")
            )
    now = max(ends) + 0.5
    script.close("warehouses", now)
    now = script.task("reconcile", ROOT, now + 0.5, rng.uniform(5, 12), after=("warehouses",))
    script.close(ROOT, now + 1, state="in step")


SCENARIOS: dict[str, tuple[str, str, Callable[[Script], None]]] = {
    "daily_report": ("Build the daily sales report", "SCHEDULE_TRIGGER", _daily_report),
    "train_model": ("Train the forecast model", "CLI", _train_model),
    "publish_dataset": ("Publish the product dataset", "WEB", _publish_dataset),
    "load_orders": ("Load the orders of the day", "ARTIFACT_TRIGGER", _load_orders),
    "sync_inventory": ("Bring the inventory in step", "TRACKED", _sync_inventory),
}
"""The title, source and script of each workflow."""
