"""The rules by which a phase moves, over every pair of stored phase and update."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repo.errors import InvalidArgument
from repo.phases import ActionPhase, CacheStatus, PhaseUpdate, Progress, advance, begin
from tests.making import T0, at

FINAL = {ActionPhase.SUCCEEDED, ActionPhase.ABORTED, ActionPhase.RECOVERED}
ORDER = [
    ActionPhase.QUEUED,
    ActionPhase.WAITING_FOR_RESOURCES,
    ActionPhase.INITIALIZING,
    ActionPhase.RUNNING,
    ActionPhase.PAUSED,
]


def stored(phase: ActionPhase, attempts: int = 1, started: datetime | None = None) -> Progress:
    ended = at(60) if phase.is_terminal else None
    return Progress(phase, attempts, CacheStatus.DISABLED, T0, started, ended)


def test_terminal_phases_are_the_five_that_end_an_attempt() -> None:
    assert {phase for phase in ActionPhase if not phase.is_terminal} == set(ORDER)
    assert {phase for phase in ActionPhase if phase.is_final} == FINAL


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_within_an_attempt_a_phase_only_moves_forward(before: ActionPhase, after: ActionPhase) -> None:
    result = advance(stored(before), PhaseUpdate(after, 1), at(100))
    if before is after:
        expected = True
    elif before.is_terminal:
        expected = False
    elif after.is_terminal:
        expected = True
    else:
        expected = ORDER.index(after) > ORDER.index(before)
    assert (result is not None) is expected
    if result is not None:
        assert result.phase is after


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_a_higher_attempt_reopens_all_but_the_final_phases(before: ActionPhase, after: ActionPhase) -> None:
    result = advance(stored(before, started=at(1)), PhaseUpdate(after, 2), at(100))
    if before in FINAL:
        assert result is None
    else:
        assert result is not None
        assert (result.phase, result.attempts) == (after, 2)
        assert result.ended_at == (at(100) if after.is_terminal else None)
        assert result.started_at == (at(100) if after is ActionPhase.RUNNING else None)


@pytest.mark.parametrize("before", ActionPhase)
@pytest.mark.parametrize("after", ActionPhase)
def test_a_lower_attempt_changes_nothing(before: ActionPhase, after: ActionPhase) -> None:
    assert advance(stored(before, attempts=3), PhaseUpdate(after, 2), at(100)) is None


def test_the_same_phase_again_changes_the_cache_status_and_keeps_the_end() -> None:
    update = PhaseUpdate(ActionPhase.SUCCEEDED, 1, CacheStatus.POPULATED, end_time=at(900))
    before = stored(ActionPhase.SUCCEEDED)
    assert advance(before, update, at(1000)) == replace(before, cache_status=CacheStatus.POPULATED)


def test_the_start_is_the_first_running_of_the_attempt() -> None:
    running = advance(stored(ActionPhase.QUEUED), PhaseUpdate(ActionPhase.RUNNING, 1), at(5))
    assert running is not None
    assert running.started_at == at(5)
    again = advance(running, PhaseUpdate(ActionPhase.RUNNING, 1), at(9))
    assert again is not None
    assert again.started_at == at(5)
    done = advance(running, PhaseUpdate(ActionPhase.SUCCEEDED, 1), at(20))
    assert done is not None
    assert (done.started_at, done.ended_at) == (at(5), at(20))


def test_a_start_that_is_given_is_taken() -> None:
    update = PhaseUpdate(ActionPhase.SUCCEEDED, 1, start_time=at(3), end_time=at(4))
    done = advance(stored(ActionPhase.QUEUED), update, at(20))
    assert done is not None
    assert (done.started_at, done.ended_at) == (at(3), at(4))


def test_an_action_never_ends_before_it_was_created() -> None:
    done = advance(stored(ActionPhase.RUNNING), PhaseUpdate(ActionPhase.FAILED, 1, end_time=at(-50)), at(1))
    assert done is not None
    assert done.ended_at == T0


def test_an_end_without_a_terminal_phase_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="endTime goes with a terminal phase"):
        PhaseUpdate(ActionPhase.RUNNING, 1, end_time=T0)


def test_an_attempt_that_cannot_be_stored_is_refused() -> None:
    for attempts in (-1, 2**31):
        with pytest.raises(InvalidArgument, match="attempts must be between"):
            PhaseUpdate(ActionPhase.RUNNING, attempts)


def test_an_action_that_is_created_running_started_then() -> None:
    assert begin(ActionPhase.RUNNING, 1, CacheStatus.MISS, T0).started_at == T0
    assert begin(ActionPhase.RECOVERED, 1, CacheStatus.HIT, T0).ended_at == T0
    assert begin(ActionPhase.QUEUED, 1, CacheStatus.MISS, T0).ended_at is None


updates = st.builds(
    PhaseUpdate,
    phase=st.sampled_from(ActionPhase),
    attempts=st.integers(0, 4),
    cache_status=st.sampled_from(CacheStatus),
)


@given(st.lists(updates, max_size=30))
def test_no_order_of_updates_lowers_an_attempt_or_changes_a_final_phase(given: list[PhaseUpdate]) -> None:
    now = progress = stored(ActionPhase.QUEUED, attempts=1)
    for second, update in enumerate(given):
        progress = advance(now, update, at(second)) or now
        assert progress.attempts >= now.attempts
        if progress.attempts == now.attempts:
            assert progress.phase >= now.phase
            if now.phase.is_terminal:
                assert (progress.phase, progress.ended_at) == (now.phase, now.ended_at)
        if now.phase.is_final:
            assert progress.phase is now.phase
        assert progress.created_at == T0
        assert (progress.ended_at is None) is (not progress.phase.is_terminal)
        assert advance(progress, update, at(second)) in (progress, None)
        now = progress
