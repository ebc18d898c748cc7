"""The rules of phase updates, for every pair of stored phase and update."""

from dataclasses import replace
from datetime import datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repo.domain.errors import InvalidArgument
from repo.domain.phases import (
    ActionPhase,
    CacheStatus,
    Lifecycle,
    PhaseUpdate,
    aborted,
    advance,
    begin,
    created_by,
)
from tests.support.making import T0, at

FINAL = {ActionPhase.SUCCEEDED, ActionPhase.ABORTED, ActionPhase.RECOVERED}
QUEUED, RUNNING, PAUSED = ActionPhase.QUEUED, ActionPhase.RUNNING, ActionPhase.PAUSED
SUCCEEDED, FAILED = ActionPhase.SUCCEEDED, ActionPhase.FAILED
ORDER = [QUEUED, ActionPhase.WAITING_FOR_RESOURCES, ActionPhase.INITIALIZING, RUNNING, PAUSED]


LATER = at(1000)


def stored(phase: ActionPhase, attempts: int = 1, started: datetime | None = None) -> Lifecycle:
    ended = at(60) if phase.is_terminal else None
    return Lifecycle(phase, attempts, CacheStatus.DISABLED, T0, started, ended)


def test_terminal_phases_are_those_that_end_an_attempt_and_three_of_them_are_final() -> None:
    assert {phase for phase in ActionPhase if not phase.is_terminal} == set(ORDER)
    assert {phase for phase in ActionPhase if phase.is_final} == FINAL


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_within_an_attempt_a_phase_only_moves_forward(before: ActionPhase, after: ActionPhase) -> None:
    result, applied = advance(stored(before), PhaseUpdate(after, 1), at(100))
    if before is after:
        expected = True
    elif before.is_terminal:
        expected = False
    elif after.is_terminal:
        expected = True
    else:
        expected = ORDER.index(after) > ORDER.index(before) or (before, after) == (PAUSED, RUNNING)
    assert applied is expected
    if applied:
        assert result.phase is after
    else:
        assert result == stored(before)


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_a_higher_attempt_reopens_all_but_the_final_phases(before: ActionPhase, after: ActionPhase) -> None:
    result, applied = advance(stored(before, started=at(1)), PhaseUpdate(after, 2), at(100))
    assert applied is (before not in FINAL)
    if before in FINAL:
        assert result == stored(before, started=at(1))
    else:
        assert (result.phase, result.attempts) == (after, 2)
        assert result.ended_at == (at(100) if after.is_terminal else None)
        assert result.started_at == (at(100) if after is RUNNING else None)


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_a_lower_attempt_changes_nothing(before: ActionPhase, after: ActionPhase) -> None:
    assert advance(stored(before, attempts=3), PhaseUpdate(after, 2), at(100)) == (stored(before, 3), False)


def after_all(progress: Lifecycle, *updates: PhaseUpdate, now: datetime = LATER) -> Lifecycle:
    """The lifecycle after these updates."""
    for update in updates:
        progress, _ = advance(progress, update, now)
    return progress


def test_omitted_values_are_not_changed() -> None:
    ended = after_all(
        stored(RUNNING), PhaseUpdate(SUCCEEDED, 1, CacheStatus.HIT, end_time=at(70), start_time=at(1))
    )
    assert advance(ended, PhaseUpdate(SUCCEEDED, 1), at(1000)) == (ended, True)
    missed = after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1, CacheStatus.MISS), PhaseUpdate(PAUSED, 1))
    assert missed.cache_status is CacheStatus.MISS
    cached = after_all(ended, PhaseUpdate(SUCCEEDED, 1, CacheStatus.POPULATED))
    assert cached == replace(ended, cache_status=CacheStatus.POPULATED)


def test_a_late_report_still_says_the_cache_status_if_no_other_does() -> None:
    ended = after_all(stored(QUEUED), PhaseUpdate(SUCCEEDED, 1, end_time=at(60)))
    late, applied = advance(ended, PhaseUpdate(RUNNING, 1, CacheStatus.MISS), LATER)
    assert (late, applied) == (replace(ended, cache_status=CacheStatus.MISS), False)
    assert after_all(late, PhaseUpdate(QUEUED, 1, CacheStatus.HIT)) == late
    assert after_all(ended, PhaseUpdate(FAILED, 1, CacheStatus.HIT)) == ended, (
        "another end is no earlier phase"
    )
    assert after_all(stored(RUNNING, attempts=2), PhaseUpdate(RUNNING, 1, CacheStatus.HIT)).cache_status == 0


@pytest.mark.parametrize("seed", range(50))
def test_the_order_of_reports_has_no_effect_on_the_cache_status(seed: int) -> None:
    chance = Random(seed)
    end = chance.choice([phase for phase in ActionPhase if phase.is_terminal])
    phases = [*ORDER, end]
    reporting = chance.choice(phases)
    updates = [
        PhaseUpdate(
            phase,
            1,
            CacheStatus.MISS if phase is reporting else None,
            start_time=at(2),
            occurred_at=at(second),
        )
        for second, phase in enumerate(phases)
    ]
    in_order = after_all(stored(QUEUED), *updates)
    assert in_order.cache_status is CacheStatus.MISS
    for _ in range(10):
        chance.shuffle(updates)
        assert after_all(stored(QUEUED), *updates) == in_order


def test_a_new_attempt_resets_the_cache_status() -> None:
    failed = after_all(stored(QUEUED), PhaseUpdate(FAILED, 1, CacheStatus.LOOKUP_FAILURE))
    assert failed.cache_status is CacheStatus.LOOKUP_FAILURE
    assert after_all(failed, PhaseUpdate(RUNNING, 2)).cache_status is CacheStatus.DISABLED


def test_the_start_is_the_first_report_of_running() -> None:
    running, _ = advance(stored(QUEUED), PhaseUpdate(RUNNING, 1), at(5))
    assert running.started_at == at(5)
    again, _ = advance(running, PhaseUpdate(RUNNING, 1), at(9))
    assert again == running
    done, _ = advance(running, PhaseUpdate(SUCCEEDED, 1), at(20))
    assert (done.started_at, done.ended_at) == (at(5), at(20))


def test_a_reported_start_replaces_the_time_of_the_server() -> None:
    running, _ = advance(stored(QUEUED), PhaseUpdate(RUNNING, 1), at(5))
    for start in (at(3), at(7)):
        done = after_all(running, PhaseUpdate(SUCCEEDED, 1, start_time=start, end_time=at(8)))
        assert (done.started_at, done.ended_at) == (start, at(8))


@pytest.mark.parametrize("phase", [RUNNING, PAUSED, SUCCEEDED])
def test_the_earliest_reported_start_counts(phase: ActionPhase) -> None:
    running = after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1, start_time=at(5)))
    assert after_all(running, PhaseUpdate(phase, 1, start_time=at(9))).started_at == at(5)
    assert after_all(running, PhaseUpdate(phase, 1, start_time=at(2))).started_at == at(2)


def test_a_start_in_a_late_report_counts() -> None:
    ended = after_all(stored(QUEUED), PhaseUpdate(SUCCEEDED, 1, end_time=at(60)))
    assert (ended.started_at, ended.ended_at) == (None, at(60))
    late, applied = advance(ended, PhaseUpdate(RUNNING, 1, start_time=at(10)), at(1000))
    assert not applied
    assert late == replace(ended, started_at=at(10), start_time=at(10))


def test_reported_times_correct_times_that_were_stored_late() -> None:
    late = begin(QUEUED, 1, CacheStatus.DISABLED, at(500))
    ended = after_all(late, PhaseUpdate(SUCCEEDED, 1, end_time=at(60)))
    assert (ended.created_at, ended.ended_at) == (at(500), at(500)), "not before it was created"
    repaired = after_all(ended, PhaseUpdate(RUNNING, 1, start_time=at(10)))
    assert (repaired.created_at, repaired.started_at, repaired.ended_at) == (at(10), at(10), at(60))
    assert created_by(repaired, at(5)).created_at == at(5)
    assert created_by(repaired, at(20)) == repaired


@pytest.mark.parametrize("end", [at(-50), at(10)])
def test_an_end_is_never_before_its_start(end: datetime) -> None:
    running, _ = advance(stored(QUEUED), PhaseUpdate(RUNNING, 1), at(40))
    done = after_all(running, PhaseUpdate(FAILED, 1, end_time=end))
    assert (done.started_at, done.ended_at) == (at(40), at(40)), "the clock that says the end is behind"
    later = after_all(stored(SUCCEEDED), PhaseUpdate(SUCCEEDED, 1, start_time=at(90)))
    assert (later.started_at, later.ended_at) == (at(90), at(90))
    assert after_all(stored(RUNNING), PhaseUpdate(FAILED, 1, end_time=at(-50))).ended_at == T0
    running = after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1, start_time=at(90)))
    assert aborted(running, at(80)).ended_at == at(90)


def test_an_end_reported_before_the_start_counts_once_the_start_is_earlier() -> None:
    running = after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1, start_time=at(40)))
    done = after_all(running, PhaseUpdate(FAILED, 1, end_time=at(20)))
    assert done.ended_at == at(40)
    assert after_all(done, PhaseUpdate(RUNNING, 1, start_time=at(5))).ended_at == at(20)


def test_a_paused_action_can_resume() -> None:
    paused = after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1, start_time=at(1)), PhaseUpdate(PAUSED, 1))
    resumed, applied = advance(paused, PhaseUpdate(RUNNING, 1), at(2000))
    assert (resumed.phase, applied, resumed.started_at) == (RUNNING, True, at(1))
    assert after_all(resumed, PhaseUpdate(PAUSED, 1), PhaseUpdate(RUNNING, 1)).phase is RUNNING


@pytest.mark.parametrize("phase", [QUEUED, ActionPhase.WAITING_FOR_RESOURCES, ActionPhase.INITIALIZING])
def test_a_paused_action_does_not_return_to_an_earlier_phase(phase: ActionPhase) -> None:
    assert after_all(stored(PAUSED), PhaseUpdate(phase, 1, occurred_at=at(2000))).phase is PAUSED


@pytest.mark.parametrize(
    "late",
    [
        PhaseUpdate(RUNNING, 1, occurred_at=at(20)),
        PhaseUpdate(RUNNING, 1, occurred_at=at(5)),
        PhaseUpdate(RUNNING, 1, start_time=at(5)),
    ],
)
def test_a_late_report_of_running_does_not_end_a_pause(late: PhaseUpdate) -> None:
    paused = after_all(stored(QUEUED), PhaseUpdate(PAUSED, 1, occurred_at=at(20)))
    same, applied = advance(paused, late, at(1000))
    assert (same.phase, applied) == (PAUSED, False)
    assert after_all(paused, PhaseUpdate(RUNNING, 1, occurred_at=at(21))).phase is RUNNING
    assert after_all(paused, PhaseUpdate(RUNNING, 1, start_time=at(21))).phase is RUNNING


def test_a_repeated_report_of_a_pause_does_not_pause_again() -> None:
    pause = PhaseUpdate(PAUSED, 1, occurred_at=at(20))
    for resume in (PhaseUpdate(RUNNING, 1), PhaseUpdate(RUNNING, 1, occurred_at=at(30))):
        resumed = after_all(stored(RUNNING), pause, resume)
        assert advance(resumed, pause, at(2000)) == (resumed, False)


@pytest.mark.parametrize("pause", [PhaseUpdate(PAUSED, 1), PhaseUpdate(PAUSED, 1, occurred_at=at(20))])
def test_a_resume_may_repeat_the_start_of_the_attempt(pause: PhaseUpdate) -> None:
    start = PhaseUpdate(RUNNING, 1, start_time=at(5))
    resumed, applied = advance(after_all(stored(QUEUED), start, pause, now=at(50)), start, at(60))
    assert (resumed.phase, applied, resumed.started_at) == (RUNNING, True, at(5))


def test_a_resume_is_not_compared_with_the_servers_clock() -> None:
    for paused in (
        after_all(stored(QUEUED), PhaseUpdate(RUNNING, 1), PhaseUpdate(PAUSED, 1), now=at(50)),
        after_all(stored(RUNNING), PhaseUpdate(PAUSED, 1), now=at(50)),
        begin(PAUSED, 1, CacheStatus.DISABLED, at(50)),
    ):
        # The executor's clock is 2 s behind.
        assert after_all(paused, PhaseUpdate(RUNNING, 1, occurred_at=at(48))).phase is RUNNING


def test_a_pause_without_a_time_counts_as_the_latest() -> None:
    start = PhaseUpdate(RUNNING, 1, occurred_at=at(5))
    paused = after_all(stored(QUEUED), start, PhaseUpdate(PAUSED, 1))
    assert advance(paused, start, at(60)) == (paused, False)
    assert after_all(paused, PhaseUpdate(RUNNING, 1, occurred_at=at(6))).phase is RUNNING


def test_stale_times_of_older_servers_are_ignored() -> None:
    done = after_all(stored(RUNNING), PhaseUpdate(FAILED, 1, end_time=at(20), start_time=at(10)))
    # A server without reported times reopens it and ends it again.
    overwritten = replace(done, attempts=2, started_at=at(100), ended_at=at(200))
    assert after_all(overwritten, PhaseUpdate(FAILED, 2)) == replace(
        overwritten, start_time=None, phase_time=None
    )


def test_an_end_with_a_nonterminal_phase_is_rejected() -> None:
    with pytest.raises(InvalidArgument, match="endTime goes with a terminal phase"):
        PhaseUpdate(ActionPhase.RUNNING, 1, end_time=T0)


def test_an_unstorable_attempt_number_is_rejected() -> None:
    for attempts in (-1, 2**31):
        with pytest.raises(InvalidArgument, match="attempts must be between"):
            PhaseUpdate(ActionPhase.RUNNING, attempts)


def test_an_action_created_running_starts_at_its_creation() -> None:
    assert begin(ActionPhase.RUNNING, 1, CacheStatus.MISS, T0).started_at == T0
    assert begin(ActionPhase.RECOVERED, 1, CacheStatus.HIT, T0).ended_at == T0
    assert begin(ActionPhase.QUEUED, 1, CacheStatus.MISS, T0).ended_at is None


updates = st.builds(
    PhaseUpdate,
    phase=st.sampled_from(ActionPhase),
    attempts=st.integers(0, 4),
    cache_status=st.none() | st.sampled_from(CacheStatus),
    start_time=st.none() | st.integers(-50, 50).map(at),
    occurred_at=st.none() | st.integers(-50, 50).map(at),
)


@given(st.lists(updates, max_size=30))
def test_no_order_of_updates_lowers_an_attempt_or_changes_a_final_phase(changes: list[PhaseUpdate]) -> None:
    now = stored(QUEUED, attempts=1)
    for second, update in enumerate(changes):
        progress, applied = advance(now, update, at(second))
        assert progress.attempts >= now.attempts
        if progress.attempts == now.attempts:
            assert progress.phase >= now.phase or (now.phase, progress.phase) == (PAUSED, RUNNING)
            if now.phase.is_terminal:
                assert progress.phase is now.phase
        if now.phase.is_final:
            assert progress.phase is now.phase
        if applied:
            assert (progress.phase, progress.attempts) == (update.phase, update.attempts)
        assert progress.created_at <= now.created_at
        assert (progress.ended_at is None) is (not progress.phase.is_terminal)
        times = (progress.created_at, progress.started_at, progress.ended_at)
        known = [time for time in times if time is not None]
        assert known == sorted(known)
        if update.time is not None or update.phase is not PAUSED:
            again, _ = advance(progress, update, at(second))
            assert again == progress, "the same report again changes nothing"
        now = progress


@st.composite
def reports(draw: st.DrawFn) -> list[PhaseUpdate]:
    """Possible reports of an executor with their times."""
    times = st.integers(-50, 50).map(at)
    found = []
    for attempt in range(1, draw(st.integers(1, 2)) + 1):
        end = draw(st.sampled_from([FAILED, ActionPhase.TIMED_OUT]))
        for phase in draw(st.lists(st.sampled_from([*ORDER, end]), max_size=5)):
            must = phase in (RUNNING, PAUSED, end)
            found.append(
                PhaseUpdate(
                    phase,
                    attempt,
                    start_time=draw(st.none() | times),
                    occurred_at=draw(times if must else st.none() | times),
                    end_time=draw(st.none() | times) if phase is end else None,
                )
            )
    return found


@given(reports(), st.randoms(use_true_random=False))
def test_any_order_of_the_same_reports_gives_the_same_times(
    changes: list[PhaseUpdate], chance: Random
) -> None:
    shuffled = list(changes)
    chance.shuffle(shuffled)
    assert after_all(stored(QUEUED), *changes) == after_all(stored(QUEUED), *shuffled)
