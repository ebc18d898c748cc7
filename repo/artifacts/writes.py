"""The transaction that stores artifacts."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select

from repo.domain.artifacts import Artifact, ArtifactLimits
from repo.domain.errors import ActionNotFound, Conflict, QuotaExceeded
from repo.sql.batches import (
    add_to_rows,
    delete_rows,
    fetch_having,
    fetch_listed,
    insert_new,
    update_rows,
)
from repo.sql.functions import database_now
from repo.sql.transactions import Transaction
from repo.tables import actions, artifact_bytes, artifact_objects, artifact_usage, artifacts

c = actions.c
a = artifacts.c

COLUMNS = tuple(a[each.name] for each in fields(Artifact))
"""The columns of an artifact's fields, in their order."""
_PLACE = (a.action_key, a.attempt, a.kind, a.name)
_ATTEMPT = _PLACE[:2]


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """An artifact to store."""

    action: str
    """Names its action in messages."""
    artifact: Artifact
    """Made now, unless `has_time`."""
    has_time: bool
    content: bytes | None
    """Its bytes; None if they are in the store."""


@dataclass
class _Batch:
    """What a transaction finds and changes."""

    limits: ArtifactLimits
    stored: dict[tuple[Any, ...], Artifact]
    counts: Counter[tuple[Any, ...]]
    """The number of artifacts by attempt."""
    new: dict[tuple[Any, ...], StoreRequest] = field(default_factory=dict)
    replaced: list[Artifact] = field(default_factory=list)
    later: dict[bytes, datetime] = field(default_factory=dict)
    """Artifacts that were made again later, with the same content."""
    changed: set[bytes] = field(default_factory=set)
    """The keys of the actions whose artifacts changed."""
    added: Counter[bytes] = field(default_factory=Counter)
    """The bytes that each run gets."""

    def store(self, request: StoreRequest) -> Artifact:
        """The artifact that stays at the place of this one."""
        new = request.artifact
        current = self.stored.get(new.place)
        if current is not None and current.has_content_of(new):
            if not request.has_time or new.created_at <= current.created_at:
                return current
            staged = self.new.get(new.place)
            new = current.made_at(new.created_at)
            if staged is None:
                self.later[new.id] = new.created_at
            else:
                self.new[new.place] = StoreRequest(request.action, new, True, staged.content)
        elif current is not None and not new.replaces(current):
            return current
        else:
            self._put(request, current)
        self.stored[new.place] = new
        self.changed.add(new.action_key)
        return new

    def _put(self, request: StoreRequest, current: Artifact | None) -> None:
        new = request.artifact
        attempt, run_key = (new.action_key, new.attempt), new.action_key[:16]
        if current is None:
            if self.counts[attempt] >= self.limits.per_attempt:
                text = f"attempt {new.attempt} of {request.action} has {self.limits.per_attempt} artifacts"
                raise QuotaExceeded(f"{text}; more are not allowed (RUNGRAPH_MAX_ARTIFACTS_PER_ATTEMPT)")
            self.counts[attempt] += 1
        elif current.place not in self.new:
            self.replaced.append(current)
        self.added[run_key] += new.size - (current.size if current is not None else 0)
        self.new[new.place] = request


async def store_all(
    limits: ArtifactLimits, transaction: Transaction, requests: Sequence[StoreRequest], now: datetime
) -> list[Artifact]:
    """Store the artifacts, and return for each the one that stays at its place. Raises ActionNotFound and
    QuotaExceeded, and then nothing is stored."""
    keys = [each.artifact.action_key for each in requests]
    found = {key for (key,) in await fetch_having(transaction, "lock for artifacts", c.key, keys, _locked)}
    for request in requests:
        if request.artifact.action_key not in found:
            raise ActionNotFound(f"there is no action {request.action}")
    places = [each.artifact.place for each in requests]
    same = [Artifact(*row) for row in await fetch_listed(transaction, "artifacts", _PLACE, places, _at)]
    stored = {each.place: each for each in same}
    attempts = [place[:2] for place in places if place not in stored]
    counted = await fetch_listed(transaction, "count of artifacts", _ATTEMPT, attempts, _count)
    batch = _Batch(limits, stored, Counter({(key, number): count for key, number, count in counted}))
    results = [batch.store(request) for request in requests]
    await _write(transaction, batch, now)
    return [batch.stored[each.place] for each in results]


def run_is_full(limits: ArtifactLimits) -> QuotaExceeded:
    """The error for an artifact that exceeds the limit of its run."""
    return QuotaExceeded(
        f"the artifacts of a run may have {limits.bytes_per_run:,} bytes; with this one they would have more "
        "(RUNGRAPH_MAX_ARTIFACT_BYTES_PER_RUN)"
    )


def _locked(restricted: Callable[[Select[Any]], Select[Any]]) -> Select[Any]:
    # In the order of all writers, and without blocking the events that refer to them.
    return restricted(select(c.key)).order_by(c.key).with_for_update(key_share=True, of=actions)


def _at(listed: Any) -> Select[Any]:
    same = (each == listed.c[each.name] for each in _PLACE)
    return select(*COLUMNS).join_from(listed, artifacts, and_(*same))


def _count(listed: Any) -> Select[Any]:
    of = (each == listed.c[each.name] for each in _ATTEMPT)
    count = select(func.count()).select_from(artifacts).where(*of).correlate(listed).scalar_subquery()
    return select(listed.c.action_key, listed.c.attempt, count.label("count"))


async def _keep_objects(transaction: Transaction, ids: Sequence[bytes]) -> None:
    """Have the objects of these artifacts stay. Raises Conflict if one may be deleted already."""
    if not ids:
        return
    o = artifact_objects.c
    mine = o.id == bindparam("key_0", type_=o.id.type), o.delete_after > database_now()
    statement = artifact_objects.update().where(*mine).values(delete_after=None).returning(o.id)
    kept = await transaction.fetch_each("keep objects", lambda: statement, [{"key_0": id} for id in ids])
    if len(kept) < len(ids):
        raise Conflict("the upload took too long; nothing was stored")


async def _write(transaction: Transaction, batch: _Batch, now: datetime) -> None:
    new = [request.artifact for request in batch.new.values()]
    await _keep_objects(transaction, [each.id for each in new if each.in_store])
    await delete_rows(transaction, artifacts, [each.id for each in batch.replaced])
    await insert_new(transaction, artifacts, map(asdict, new))
    contents = [
        {"artifact_id": each.artifact.id, "bytes": each.content}
        for each in batch.new.values()
        if each.content is not None
    ]
    await insert_new(transaction, artifact_bytes, contents)
    later = [{"id": id, "created_at": at} for id, at in batch.later.items()]
    await update_rows(transaction, artifacts, later)
    added = [{"run_key": key, "bytes": count} for key, count in sorted(batch.added.items()) if count]
    for key, total in await add_to_rows(transaction, artifact_usage, added):
        if total > batch.limits.bytes_per_run and batch.added[key] > 0:
            raise run_is_full(batch.limits)
    # Watchers are notified as of any change of an action.
    await update_rows(
        transaction, actions, [{"key": key, "updated_at": now} for key in sorted(batch.changed)]
    )
