"""Aborts under faults, in short: three replicas, an executor that cannot be relied on, and `kill -9` in every
phase of an abort. `make soak` does the same for longer, with 2,000 runs."""

import pytest

from tests.faults.aborts import try_aborts
from tests.faults.replica import ABORT_DEATHS


@pytest.mark.timeout(200)
async def test_no_executor_is_told_twice_at_once_while_clocks_jump() -> None:
    outcome = await try_aborts(40, 1, jumps=4.0)
    assert outcome.problems == []
    assert outcome.measurements["requested"] >= 15, "too few were aborted"


@pytest.mark.timeout(200)
async def test_aborts_come_to_their_end_while_replicas_are_killed_in_every_phase_of_them() -> None:
    outcome = await try_aborts(60, 1, kills=list(ABORT_DEATHS), each=1.5, hold=2.0)
    assert outcome.problems == []
    assert outcome.measurements["deaths"] >= 2, "nobody died"
    assert outcome.measurements["requested"] >= 20, "too few were aborted"
    assert outcome.measurements["calls"] > outcome.measurements["requested"], "the executor did not fail"
