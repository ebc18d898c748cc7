"""Calls of executors with leases, and of replicas that end them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy import update as sql_update

from repo import ActionPhase, ActionRepo, RunIdentifier
from repo.domain.phases import LeaseState
from repo.leases.expiry import end_leases
from repo.tables import run_leases
from tests.support.making import RUN, action

TTL = timedelta(seconds=30)
OTHER = RunIdentifier("etl", "production", "nightly-2")
P = ActionPhase


async def renew(repository: ActionRepo, *runs: RunIdentifier, executor: str = "one") -> list[Any]:
    """The results of a renewal: times or the classes of errors."""
    results = await repository.leases.renew(runs or (RUN,), executor, TTL)
    return [each.expires_at or type(each.error) for each in results]


async def let_expire(repository: ActionRepo, *runs: RunIdentifier) -> None:
    """Let these leases expire a second ago."""
    keys = [run.key for run in runs or (RUN,)]
    past = datetime.now(UTC) - timedelta(seconds=1)
    change = sql_update(run_leases).where(run_leases.c.run_key.in_(keys)).values(expires_at=past)
    await repository.database.transact_on_connection(lambda connection: connection.execute(change))


async def expire(repository: ActionRepo, *runs: RunIdentifier) -> int:
    """Let these leases expire, and end them as a replica does; how many executors were lost."""
    await let_expire(repository, *runs)
    keys, ended, is_whole = [run.key for run in runs or (RUN,)], 0, False
    while not is_whole:
        count, is_whole = await repository.database.transact(
            lambda transaction: end_leases(transaction, keys, datetime.now(UTC))
        )
        ended += count
    return ended


async def state_of(repository: ActionRepo, run: RunIdentifier = RUN) -> LeaseState | None:
    """The state of the lease of a run."""
    async with repository.database.read() as connection:
        of_run = select(run_leases.c.state).where(run_leases.c.run_key == run.key)
        found: LeaseState | None = await connection.scalar(of_run)
    return found


async def phases(repository: ActionRepo, *names: str) -> list[ActionPhase]:
    """The phases of these actions of the run."""
    return [(await repository.get_action(action(name))).phase for name in names]
