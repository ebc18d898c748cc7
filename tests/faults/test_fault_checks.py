"""The checks of the fault trials find the errors that they are meant to find."""

from typing import Any

import pytest

from repo import RunIdentifier
from tests.faults import checks
from tests.faults.checks import lags, lost_writes, missed_ends, shown, watch_actions, watch_events
from tests.faults.faults import FAULTS
from tests.faults.load import AcknowledgedWrite, Journal
from tests.faults.trial import Outcome
from tests.faults.viewer import Viewer

RUN = RunIdentifier("p", "d", "r")
STORED = {"a": (5, "SUCCEEDED", 1, None)}


def row(revision: int, phase: str = "RUNNING", name: str = "a") -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "revision": str(revision), "phase": phase, "attempts": 1}


def frame(kind: str, *rows: dict[str, Any], removed: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"kind": kind, "cursor": "c", "actions": list(rows), "removed": list(removed)}


def viewer_with(*frames: dict[str, Any]) -> Viewer:
    viewer = watch_actions("viewer", [], RUN).viewer
    for each in frames:
        viewer.take(each)
    return viewer


def test_a_revision_that_goes_backwards_is_a_problem() -> None:
    assert viewer_with(frame("SNAPSHOT", row(2)), frame("CHANGE", row(2), row(3))).problems == []
    assert len(viewer_with(frame("SNAPSHOT", row(3)), frame("CHANGE", row(2))).problems) == 1


def test_removed_rows_and_rows_before_a_resync_are_not_shown() -> None:
    assert shown(viewer_with(frame("SNAPSHOT", row(2)), frame("CHANGE", removed=("id-a",)))) == {}
    resynced = viewer_with(frame("SNAPSHOT", row(2)), frame("RESYNC"), frame("SNAPSHOT", row(1, name="b")))
    assert list(shown(resynced)) == ["b"]
    assert (resynced.problems, resynced.resyncs) == ([], 1)


def test_a_duplicate_event_is_a_problem() -> None:
    event = {"id": "e", "attempt": 1, "phase": "RUNNING", "version": 0, "action": {"name": "a"}}
    viewer = watch_events("viewer", [], RUN).viewer
    viewer.take({"kind": "SNAPSHOT", "cursor": "c", "events": [event]})
    assert (viewer.problems, shown(viewer)) == ([], {"a/1/RUNNING/0": True})
    viewer.take({"kind": "CHANGE", "cursor": "c", "events": [event]})
    assert len(viewer.problems) == 1


@pytest.mark.parametrize(
    ("written", "is_lost"),
    [
        (AcknowledgedWrite(0, "a", 5, 1, "SUCCEEDED"), False),
        (AcknowledgedWrite(0, "a", 4, 1, "RUNNING"), False),
        (AcknowledgedWrite(0, "a", 6, 1, "SUCCEEDED"), True),
        (AcknowledgedWrite(0, "a", 4, 1, "FAILED"), True),
        (AcknowledgedWrite(0, "a", 4, 2, "RUNNING"), True),
        (AcknowledgedWrite(0, "b", 1, 1, "QUEUED"), True),
    ],
)
def test_an_acknowledged_write_that_is_not_stored_is_detected(
    written: AcknowledgedWrite, is_lost: bool
) -> None:
    assert bool(lost_writes(Journal(RUN, [written]), STORED, {})) == is_lost


def test_an_acknowledged_event_that_is_not_stored_is_detected() -> None:
    journal = Journal(RUN, events={"a/1/RUNNING/0"})
    assert lost_writes(journal, STORED, {"a/1/RUNNING/0": True}) == []
    assert len(lost_writes(journal, STORED, {})) == 1


def test_an_end_that_was_not_received_is_detected() -> None:
    saw = viewer_with(frame("SNAPSHOT", row(1)), frame("CHANGE", row(5, "SUCCEEDED")))
    assert missed_ends(saw, STORED) == []
    assert missed_ends(viewer_with(frame("SNAPSHOT", row(1))), STORED) == ["a"]


async def test_a_viewer_that_differs_from_the_stored_rows_is_detected() -> None:
    viewer = viewer_with(frame("SNAPSHOT", row(5, "SUCCEEDED")))
    assert await checks.settled(viewer, STORED, 0)
    assert not await checks.settled(viewer, {**STORED, "b": (1, "QUEUED", 1, None)}, 0)


def test_a_lag_is_counted_from_the_acknowledgement_or_from_the_end_of_the_fault() -> None:
    viewer = viewer_with(frame("SNAPSHOT", row(5)))
    (seen,) = viewer.seen["a"]
    journal = Journal(RUN, [AcknowledgedWrite(seen.time - 3, "a", 4, 1, "RUNNING")])
    assert lags(viewer, journal, seen.time - 4, seen.time - 1).after == pytest.approx([1])
    assert lags(viewer, journal, seen.time - 4, seen.time - 1).during == pytest.approx([3])
    assert lags(viewer, journal, seen.time - 2, seen.time - 1).usual == pytest.approx([3])


def test_a_late_write_is_a_violation() -> None:
    fault = next(fault for fault in FAULTS if fault.max_lag == 2)
    assert Outcome(after=[4.9], during=[1.9]).violations(fault.max_lag) == []
    assert len(Outcome(after=[5.1], during=[2.1]).violations(fault.max_lag)) == 2
    assert Outcome(after=[5.1], during=[2.1]).violations(fault.max_lag, slowness=2) == []
