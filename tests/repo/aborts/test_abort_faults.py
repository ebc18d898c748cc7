"""Aborts under faults: three replicas, an unreliable executor, and `kill -9` at every step of an abort.
`make soak` runs a longer version with 2,000 runs."""

import pytest

from tests.faults.aborts import try_aborts
from tests.faults.replica import ABORT_DEATHS


@pytest.mark.timeout(200)
async def test_no_executor_is_notified_twice_at_once_while_clocks_jump() -> None:
    outcome = await try_aborts(40, 1, jumps=4.0)
    assert outcome.problems == []
    assert outcome.measurements["requested"] >= 15, "too few were aborted"


@pytest.mark.timeout(200)
async def test_aborts_complete_while_replicas_are_killed_at_every_step() -> None:
    outcome = await try_aborts(60, 1, kills=list(ABORT_DEATHS), each=1.5, hold=2.0)
    assert outcome.problems == []
    assert outcome.measurements["deaths"] >= 2, "nobody died"
    assert outcome.measurements["requested"] >= 20, "too few were aborted"
    assert outcome.measurements["calls"] > outcome.measurements["requested"], "the executor did not fail"
