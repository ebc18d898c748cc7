"""The model and the view of `rungraph watch`."""

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.cli.remote.text import duration
from graph.cli.remote.watch_tree import WatchedRun
from graph.cli.remote.watch_view import MANY, draw, plain_line
from repo.domain.phases import ActionPhase

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(seconds=75)


def node(
    name: str, parent: str | None = "root", phase: str = "QUEUED", revision: int = 1, **rest: Any
) -> dict[str, Any]:
    """An action as the API sends it."""
    return {
        "id": f"id-{name}",
        "name": name,
        "parentName": None if name == "root" else parent,
        "phase": phase,
        "attempts": 1,
        "revision": str(revision),
        "createdAt": BEGAN.isoformat(),
        "startedAt": None if phase == "QUEUED" else BEGAN.isoformat(),
        "endedAt": None,
        "updatedAt": NOW.isoformat(),
        "error": None,
        "abort": None,
        **rest,
    }


def frame(
    kind: str, *nodes: dict[str, Any], cursor: str = "c", removed: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {"kind": kind, "cursor": cursor, "removed": list(removed), "actions": list(nodes)}


def watched(*nodes: dict[str, Any]) -> WatchedRun:
    run = WatchedRun("etl/production/nightly-1")
    run.apply(frame("SNAPSHOT", *nodes))
    run.apply(frame("SYNCED"))
    return run


def lines(run: WatchedRun, width: int = 80, height: int = 24, trouble: str | None = None) -> list[str]:
    return draw(run, width, height, NOW, trouble).plain.split("\n")


def tree(run: WatchedRun, width: int = 80, height: int = 24) -> list[str]:
    """The lines below the header."""
    return lines(run, width, height)[4:]


def test_the_highest_revision_of_an_action_is_kept() -> None:
    run = watched(node("root"), node("a", revision=3))
    assert [
        action.phase.name for action in run.apply(frame("CHANGE", node("a", phase="RUNNING", revision=7)))
    ] == ["RUNNING"]
    assert run.apply(frame("CHANGE", node("a", phase="INITIALIZING", revision=5))) == []
    assert run.apply(frame("CHANGE", node("a", phase="RUNNING", revision=7))) == []
    assert run.actions["a"].phase is ActionPhase.RUNNING


def test_a_resync_discards_everything_known() -> None:
    run = watched(node("root"), node("a", revision=9), node("b"))
    run.apply(frame("RESYNC", cursor="anew"))
    assert (run.actions, run.synced, run.cursor, run.root) == ({}, False, "anew", None)
    run.apply(frame("SNAPSHOT", node("root"), node("a", revision=2)))
    run.apply(frame("SYNCED"))
    assert set(run.actions) == {"root", "a"}
    assert run.synced


def test_removed_actions_are_not_counted() -> None:
    run = watched(node("root"), node("a", phase="FAILED"), node("b"))
    run.apply(frame("CHANGE", removed=("id-a", "id-unknown")))
    assert set(run.actions) == {"root", "b"}
    assert +run.counts == {ActionPhase.QUEUED: 2}
    assert "a" not in "".join(line for line in tree(run) if "root" not in line)


PHASES = ("QUEUED", "RUNNING", "PAUSED", "SUCCEEDED", "FAILED")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_the_newest_revision_is_shown_whatever_the_order_of_frames(
    versions: list[tuple[int, int]], rng: random.Random
) -> None:
    """The phase depends on the revision here; the order of arrival must not matter."""
    sent = [("root", 1), *((f"a{number}", revision) for number, revision in versions)]
    shuffled = sent * 2
    rng.shuffle(shuffled)
    run = WatchedRun("r")
    for name, revision in shuffled:
        run.apply(frame("CHANGE", node(name, phase=PHASES[revision % 5], revision=revision)))
    newest: dict[str, int] = {}
    for name, revision in sent:
        newest[name] = max(revision, newest.get(name, 0))
    assert {name: action.revision for name, action in run.actions.items()} == newest
    phases = [action.phase for action in run.actions.values()]
    assert +run.counts == {phase: phases.count(phase) for phase in set(phases)}
    below = [action for action in run.actions.values() if action.name != "root"]
    if below:
        children = run.children["root"]
        assert children.names == {action.name for action in below}
        assert children.bad == {action.name for action in below if action.phase is ActionPhase.FAILED}
        assert children.active == {
            action.name for action in below if action.phase.name in ("RUNNING", "PAUSED")
        }


def test_the_tree_shows_parents_before_children_and_errors() -> None:
    run = watched(
        node("root", phase="RUNNING"),
        node("load", phase="RUNNING", attempts=3),
        node("step-10", "load", "QUEUED"),
        node("step-2", "load", "FAILED", error={"code": "OOM", "summary": "out of\nmemory"}),
        node(
            "check",
            phase="ABORTED",
            abort={
                "state": "RETRYING",
                "reason": "wrong table",
                "requestedBy": {"subject": "user-1"},
                "attemptCount": 2,
                "lastError": "no such pod",
            },
        ),
    )
    drawn = [" ".join(line.split()) for line in tree(run, width=120)]
    assert drawn == [
        "● root running 1 m 15 s",
        "├─ ■ check aborted 1 m 15 s abort retrying after 2 attempts, requested by user-1: no such pod",
        "└─ ● load running 1 m 15 s attempt 3",
        "├─ ✗ step-2 failed 1 m 15 s OOM: out of memory",
        "└─ ○ step-10 queued",
    ]
    head = lines(run)[:3]
    assert head[0] == "etl/production/nightly-1  RUNNING  1 m 15 s"
    assert head[1].endswith(" 2 of 5 ended")
    assert head[2] == "1 failed · 2 running · 1 queued · 1 aborted"


def test_of_many_children_running_and_failed_ones_are_shown_and_the_others_counted() -> None:
    phases = ["SUCCEEDED"] * 180 + ["QUEUED"] * 12 + ["FAILED", "RUNNING"]
    run = watched(
        node("root", phase="RUNNING"), *(node(f"a{n}", phase=phase) for n, phase in enumerate(phases))
    )
    drawn = tree(run)
    assert [line.split()[2] for line in drawn[1:-1]] == ["a192", "a193"]
    assert drawn[-1] == "└─ … 12 queued, 180 succeeded"
    assert lines(run, trouble="Connection lost")[3] == "Connection lost"


def test_failed_and_running_children_share_the_rows() -> None:
    phases = ["FAILED"] * 300 + ["RUNNING"] * 300
    run = watched(
        node("root", phase="RUNNING"), *(node(f"a{n}", phase=phase) for n, phase in enumerate(phases))
    )
    drawn = tree(run)
    assert len(drawn) == 20
    assert sum("failed  " in line for line in drawn) == sum("running  " in line for line in drawn) - 1 == 9
    assert drawn[-1] == "└─ … 291 failed, 291 running"


def test_the_tree_never_exceeds_the_window() -> None:
    nodes = [node("root", phase="RUNNING")]
    for stage in range(6):
        nodes.append(node(f"stage-{stage}", phase="RUNNING"))
        nodes += [node(f"s{stage}-{n}", f"stage-{stage}", "RUNNING") for n in range(MANY)]
    run = watched(*nodes)
    assert len(lines(run, height=200)) == 4 + len(nodes)
    for height in range(1, 60):
        assert len(lines(run, height=height)) <= height
    small = tree(run, height=12)
    assert [line.split()[2] for line in small[1:]] == [f"stage-{n}" for n in range(6)]
    assert " ".join(small[-1].split()) == "└─ ● stage-5 running 1 m 15 s 20 running"


@pytest.mark.parametrize("phase", ["RUNNING", "FAILED", "SUCCEEDED", "QUEUED"])
def test_a_large_run_is_drawn_quickly_and_fits(phase: str) -> None:
    size = 10_000
    began = time.thread_time()  # what a machine that stalls takes meanwhile is not ours
    run = WatchedRun("r")
    for at in range(0, size, 500):
        nodes = [node(f"a{n}", phase=phase) for n in range(at, at + 500)]
        run.apply(frame("SNAPSHOT", node("root", phase="RUNNING"), *nodes))
    assert time.thread_time() - began < 5
    began = time.thread_time()
    for _ in range(5):
        drawn = draw(run, 80, 24, NOW)
    assert (time.thread_time() - began) / 5 < 0.25
    assert drawn.plain.count("\n") < 24
    assert all(line.cell_len <= 80 for line in drawn.split("\n"))
    assert f"{size - sum(' a' in line for line in drawn.plain.splitlines()):,} {phase.lower()}" in drawn.plain


def test_a_deep_chain_of_actions_is_drawn() -> None:
    chain = [node("root"), *(node(f"a{n}", f"a{n - 1}" if n else "root", "RUNNING") for n in range(3000))]
    drawn = lines(watched(*chain))
    assert len(drawn) == 24
    assert drawn[-1].split()[-2:] == ["1", "running"]
    assert max(map(len, lines(watched(*chain), height=1000))) <= 80


def test_untrusted_text_cannot_control_the_terminal() -> None:
    error = {"code": None, "summary": "\x1b[2J\u202eevil\r\n\tend\u2028x"}
    run = watched(node("root", phase="FAILED", error=error), node("名前" * 60, phase="RUNNING"))
    drawn = draw(run, 80, 24, NOW)
    assert "[2Jevil end x" in drawn.plain
    assert all(line.cell_len <= 80 for line in drawn.split("\n"))
    assert all(line.isprintable() for line in drawn.plain.split("\n"))
    assert plain_line(run.actions["root"]).isprintable()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "0.0 s"),
        (2.34, "2.3 s"),
        (9.96, "10 s"),
        (59.7, "1 m 00 s"),
        (185, "3 m 05 s"),
        (7500, "2 h 05 m"),
    ],
)
def test_durations_are_short(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
