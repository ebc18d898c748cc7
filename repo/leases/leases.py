"""Leases of runs, for one caller: an executor renews them, and counts as lost when it does not."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select

from repo.actions.activity import Activity
from repo.actions.group_commit import GroupCommit
from repo.actions.lists import in_scopes, runs_in_scopes
from repo.actions.rows import ACTIONS, Attributes
from repo.domain.authorization import Access, Permission, includes
from repo.domain.errors import Conflict, Forbidden, InvalidArgument, RepoError, RunNotFound
from repo.domain.identifiers import RunIdentifier, check_name
from repo.domain.models import Action
from repo.leases.expiry import LeaseExpiry
from repo.leases.parts import in_parts
from repo.leases.renewal import RenewalRequest, Renewed, return_some
from repo.sql.database import Database
from repo.sql.filters import key_filter
from repo.tables import actions, is_lease_open, is_unconfirmed, run_leases, runs

MAX_RUNS = 1_000
"""Runs whose leases one call renews."""
MIN_TTL, MAX_TTL = timedelta(seconds=1), timedelta(days=1)

Renewals = GroupCommit[RenewalRequest, Renewed]

c = actions.c
r = runs.c


@dataclass(frozen=True, slots=True)
class LeaseResult:
    """The result of the renewal of one run's lease."""

    run: RunIdentifier
    expires_at: datetime | None = None
    error: RepoError | None = None
    """Why it was not renewed."""


@dataclass(frozen=True, slots=True)
class RunActivity:
    """When a run was last reported, and its lease, if it has one."""

    last_reported_at: datetime
    lease_expires_at: datetime | None = None


class Leases:
    """The leases that a caller may read and renew."""

    def __init__(
        self,
        database: Database,
        access: Access,
        renewals: Renewals,
        expiry: LeaseExpiry,
        activity: Activity,
    ) -> None:
        self._database = database
        self._access = access
        self._renewals = renewals
        self._activity = activity
        self.expiry = expiry
        """The loop of this replica that ends expired leases."""

    async def renew(
        self, run_ids: Sequence[RunIdentifier], executor: str, ttl: timedelta
    ) -> list[LeaseResult]:
        """Renew the leases of these runs for `ttl` from now, by the clock of the database, and return a
        result for each. What was lost with the executor is taken back. A run that does not exist, that the
        caller may not write, or whose lease another executor holds has an error of its own. Raises
        InvalidArgument."""
        if len(run_ids) > MAX_RUNS:
            raise InvalidArgument(f"a call renews the leases of at most {MAX_RUNS} runs, not {len(run_ids)}")
        if not MIN_TTL <= ttl <= MAX_TTL:
            raise InvalidArgument(f"a lease lasts 1 to {MAX_TTL // MIN_TTL} s, not {ttl // MIN_TTL}")
        check_name(executor, "executor")
        scopes = self._access.scopes(Permission.WRITE)
        allowed = {each.key for each in run_ids if includes(scopes, each.project, each.domain)}
        renewed = Renewed()
        if allowed:
            request = RenewalRequest(sorted(allowed), executor, ttl)
            renewed = await self._renewals.write(request, len(allowed))
            self._activity.note_keys(renewed.expires_at)
        await self._take_back(renewed.returned, executor)
        return [self._result(each, allowed, renewed) for each in run_ids]

    async def _take_back(self, run_keys: Sequence[bytes], executor: str) -> None:
        async def work(part: Sequence[bytes]) -> list[bytes]:
            return await self._database.transact(
                lambda transaction: return_some(transaction, part, executor, datetime.now(UTC))
            )

        while run_keys:
            left = await in_parts(run_keys, work, "cannot take back the loss of an executor")
            run_keys = [key for of_part in left for key in of_part]

    def _result(self, run: RunIdentifier, allowed: Collection[bytes], renewed: Renewed) -> LeaseResult:
        if run.key in renewed.expires_at:
            return LeaseResult(run, renewed.expires_at[run.key])
        if run.key not in allowed:
            return LeaseResult(run, error=Forbidden(f"you may not write in {run.project}/{run.domain}"))
        if run.key in renewed.holders:
            holder, until = renewed.holders[run.key]
            text = f"the executor {holder} holds the lease of run {run} until {until.isoformat()}"
            return LeaseResult(run, error=Conflict(text))
        return LeaseResult(run, error=RunNotFound(f"there is no run {run}"))

    async def list_aborts(
        self, run_keys: Collection[bytes], attributes: Attributes = None
    ) -> dict[bytes, list[Action]]:
        """The actions of each run whose abort is unconfirmed, the oldest request first."""
        names = ACTIONS.names(None if attributes is None else attributes | {"run_key"})
        scopes, by_key = self._access.readable, key_filter(self._database, c.run_key, run_keys)

        def statement() -> Select[Any]:
            found = select(*ACTIONS.select(names)).where(is_unconfirmed, *in_scopes(scopes))
            return by_key.apply(found).order_by(c.abort_requested_at, c.key)

        found = await self._database.fetch(
            ("aborts of runs", names, by_key.key, scopes), statement, by_key.values
        )
        aborts: dict[bytes, list[Action]] = {key: [] for key in run_keys}
        for action in found.rows(Action, names):
            aborts[action.run_key].append(action)
        return aborts

    async def list_activity(self, run_keys: Collection[bytes]) -> dict[bytes, RunActivity]:
        """When each of the runs was last reported, and when its lease ends."""
        scopes, by_key = self._access.readable, key_filter(self._database, r.run_key, run_keys)

        def statement() -> Select[Any]:
            # Of runs that ended before this was stored, their last change.
            reported_at = func.coalesce(r.last_reported_at, r.updated_at).label("last_reported_at")
            found = select(r.run_key, reported_at, run_leases.c.expires_at).outerjoin(
                run_leases, run_leases.c.run_key == r.run_key
            )
            return by_key.apply(found).where(*runs_in_scopes(scopes))

        found = await self._database.fetch(("activity", by_key.key, scopes), statement, by_key.values)
        return {key: RunActivity(*rest) for key, *rest in found.decoded()}

    async def count_held(self) -> int:
        """The leases that have not expired, in all projects."""
        async with self._database.read() as connection:
            held = select(func.count()).select_from(run_leases).where(is_lease_open)
            return await connection.scalar(held) or 0
