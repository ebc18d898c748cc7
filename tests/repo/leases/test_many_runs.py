"""Losses and returns of many runs: few transactions, and a run that cannot be written stops no other."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repo import ActionRepo, RunIdentifier, open_repository
from repo.actions import losses
from repo.leases import expiry as expiry_module
from repo.leases import renewal as renewal_module
from repo.leases.expiry import LeaseExpiry
from tests.repo.leases.support import TTL, P, expire, let_expire, renew
from tests.support.making import action, new

RUNS = [RunIdentifier("p", "d", f"r{number}") for number in range(250)]
ILL = RUNS[7]


async def count_lost(repository: ActionRepo, runs: list[RunIdentifier]) -> int:
    found = await repository.runs.find([run.key for run in runs])
    assert len(found) == len(runs)
    return sum(each.is_lost for each in found.values())


async def test_many_runs_are_lost_and_return_in_few_transactions(database_url: str) -> None:
    commits: list[datetime] = []
    async with open_repository(database_url, on_commit=lambda: commits.append(datetime.now(UTC))) as one:
        await one.actions.create([new(run=run) for run in RUNS])
        await renew(one, *RUNS)
        assert await expire(one, *RUNS) == len(RUNS)
        assert await count_lost(one, RUNS) == len(RUNS)
        commits.clear()
        assert all(isinstance(each, datetime) for each in await renew(one, *RUNS))
        assert await count_lost(one, RUNS) == 0
        assert len(commits) <= 5
        root = await one.get_action(action(run=RUNS[-1]))
        assert (root.phase, root.error, len(await one.list_events(root.identifier))) == (P.QUEUED, None, 2)


def failing(work: Any) -> Any:
    """The function, which fails for one run."""

    async def fails(transaction: Any, stored: Mapping[bytes, Any], *rest: Any) -> Any:
        if any(key[:16] == ILL.key for key in stored):
            raise ValueError("this run cannot be written")
        return await work(transaction, stored, *rest)

    return fails


async def test_a_run_that_cannot_be_written_stops_no_other(
    repository: ActionRepo, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = RUNS[:20]
    await repository.actions.create([new(run=run) for run in runs])
    await repository.leases.renew(runs, "one", timedelta(seconds=1))
    await let_expire(repository, *runs)
    now = 1000.0
    monkeypatch.setattr("repo.leases.expiry.time.monotonic", lambda: now)
    monkeypatch.setattr(expiry_module, "MAX_GAP", 5.0)
    expiry = LeaseExpiry(repository.database)
    await expiry.poll()
    now += 1
    with monkeypatch.context() as patch:
        patch.setattr(expiry_module, "lose", failing(losses.lose))
        await expiry.poll()
    assert (await count_lost(repository, runs), expiry.expired) == (19, 19)
    await expiry.poll()
    assert (await count_lost(repository, runs), expiry.expired) == (20, 20)
    with monkeypatch.context() as patch:
        patch.setattr(renewal_module, "take_back", failing(losses.take_back))
        results = await repository.leases.renew(runs, "one", TTL)
    assert all(each.expires_at and not each.error for each in results)
    assert [run for run in runs if (await repository.get_run(run)).is_lost] == [ILL]
    await repository.leases.renew(runs, "one", TTL)
    assert await count_lost(repository, runs) == 0
