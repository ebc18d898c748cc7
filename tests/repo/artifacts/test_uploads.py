"""Uploads to a directory and to S3: they store all of an artifact or nothing, and removal takes its bytes."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy import update as sql_update

from repo import (
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Artifact,
    ArtifactLimits,
    Conflict,
    DigestMismatch,
    Forbidden,
    Grant,
    InvalidArgument,
    NewArtifact,
    NotFound,
    QuotaExceeded,
    Role,
    RunIdentifier,
    open_repository,
)
from repo.artifacts import objects as objects_module
from repo.sql.functions import database_now
from repo.tables import artifact_objects
from tests.repo.artifacts.test_artifacts import artifact, content_of, listed
from tests.support.making import RUN, action, at, make_run, new, update
from tests.support.s3 import S3Server

MIB = 1024 * 1024
LARGE = bytes(range(256)) * (3 * 4096) + b"end"
"""A little more than 3 MiB."""
Objects = Callable[[], list[str]]


@pytest.fixture
async def repository(database_url: str, store_url: str) -> AsyncIterator[ActionRepo]:
    async with open_repository(database_url, artifact_store=store_url) as opened:
        await make_run(opened, b="a0")
        yield opened


async def parts(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
        await asyncio.sleep(0)


async def send(
    repository: ActionRepo, to: NewArtifact, content: bytes = LARGE, algorithm: str = "sha256"
) -> Artifact:
    digest = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
    upload = await repository.artifacts.announce(to, len(content), digest)
    return await repository.artifacts.receive(upload, parts(content))


async def rows(repository: ActionRepo) -> int:
    async with repository.database.read() as connection:
        return await connection.scalar(select(func.count()).select_from(artifact_objects)) or 0


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("size", [0, 5, MIB, MIB + 1, len(LARGE), 11 * MIB + 7])
async def test_an_upload_of_any_size_is_stored(
    repository: ActionRepo, objects: Objects, size: int, algorithm: str
) -> None:
    content = (LARGE * 4)[:size]
    stored = await send(repository, artifact(created_at=at(1)), content, algorithm)
    assert (stored.sha256, stored.size, stored.created_at) == (
        hashlib.sha256(content).digest(),
        size,
        at(1),
    )
    assert await listed(repository) == [stored]
    assert await content_of(repository, stored) == content
    assert stored.in_store is (size > MIB)
    assert objects() == ([stored.id.hex()] if stored.in_store else [])
    for start, end in ((0, 1), (size // 2, size), (max(0, size - 3), size)):
        read = await repository.artifacts.open(stored, start, min(end, size))
        assert b"".join([part async for part in read]) == content[start:end]


@pytest.mark.parametrize("sent", [LARGE[:-1], LARGE + b"x", LARGE[:-1] + b"x", b"", LARGE * 2], ids=len)
async def test_other_bytes_than_announced_store_nothing(
    repository: ActionRepo, objects: Objects, sent: bytes
) -> None:
    for content in (LARGE, LARGE[:1000]):
        upload = await repository.artifacts.announce(
            artifact(), len(content), f"sha256:{hashlib.sha256(content).hexdigest()}"
        )
        with pytest.raises(DigestMismatch):
            await repository.artifacts.receive(upload, parts(sent))
    assert (await listed(repository), objects(), await rows(repository)) == ([], [], 0)


class Disconnected(Exception):
    """The client has disconnected."""


async def test_an_interrupted_upload_leaves_nothing(
    repository: ActionRepo, objects: Objects, request: pytest.FixtureRequest, store_url: str
) -> None:
    content = LARGE * 4

    async def interrupted() -> AsyncIterator[bytes]:
        async for part in parts(content[: 10 * MIB]):
            yield part
        raise Disconnected

    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    upload = await repository.artifacts.announce(artifact(), len(content), digest)
    with pytest.raises(Disconnected):
        await repository.artifacts.receive(upload, interrupted())
    assert (await listed(repository), objects(), await rows(repository)) == ([], [], 0)
    if store_url.startswith("s3:"):
        server: S3Server = request.getfixturevalue("s3_server")
        assert server.unfinished() == []
    # It may be repeated.
    assert await repository.artifacts.receive(upload, parts(content)) == (await listed(repository))[0]


async def test_a_cancelled_upload_leaves_nothing_in_a_directory(database_url: str, tmp_path: Any) -> None:
    async with open_repository(database_url, artifact_store=f"file://{tmp_path}/store") as repository:
        await make_run(repository)
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield LARGE
            begun.set()
            await asyncio.Event().wait()

        upload = await repository.artifacts.announce(artifact(), 10 * MIB, "md5:" + "0" * 32)
        receiving = asyncio.create_task(repository.artifacts.receive(upload, endless()))
        await begun.wait()
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
        while await rows(repository):  # noqa: ASYNC110 - the row is deleted beside the cancelled task
            await asyncio.sleep(0.01)
        assert [each for each in (tmp_path / "store").rglob("*") if each.is_file()] == []


async def test_bytes_that_are_replaced_are_deleted(repository: ActionRepo, objects: Objects) -> None:
    first = await send(repository, artifact())
    second = await send(repository, artifact(), LARGE + b"2")
    async with asyncio.timeout(20):
        while objects() != [second.id.hex()]:  # noqa: ASYNC110 - deleted in the background
            await asyncio.sleep(0.01)
    # The same content again, and one that was made earlier, store nothing.
    assert await send(repository, artifact(), LARGE + b"2") == second
    assert await send(repository, artifact(created_at=at(0)), LARGE + b"3") == second
    assert objects() == [second.id.hex()]
    assert await rows(repository) == 1
    small = await repository.artifacts.store(artifact(), b"small")
    assert await listed(repository) == [small]
    await repository.artifacts.objects.clean_up()
    assert (objects(), await rows(repository)) == ([], 0)
    assert await repository.artifacts.find(first.id) is None
    assert await send(repository, artifact(), b"small") == small


async def test_two_uploads_of_one_name_leave_one(repository: ActionRepo, objects: Objects) -> None:
    contents = [LARGE + bytes([number]) for number in range(6)]
    results = await asyncio.gather(
        *(send(repository, artifact(created_at=at(n % 3)), each) for n, each in enumerate(contents))
    )
    (stored,) = await listed(repository)
    latest = max((contents[2], contents[5]), key=lambda each: hashlib.sha256(each).digest())
    assert await content_of(repository, stored) == latest
    assert stored in results
    await repository.artifacts.objects.clean_up()
    assert (objects(), await rows(repository)) == ([stored.id.hex()], 1)


async def test_pruning_takes_the_bytes_along(repository: ActionRepo, objects: Objects) -> None:
    old = RunIdentifier("etl", "production", "old")
    await repository.actions.create([new(run=old, created_at=at(0)), new("b", "a0", old)])
    await send(repository, artifact(run=old))
    await send(repository, artifact(of="b", run=old))
    kept = await send(repository, artifact())
    await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
    assert [done async for done in repository.pruning.prune(timedelta(days=1))]
    assert (objects(), await rows(repository)) == ([kept.id.hex()], 1)
    assert await content_of(repository, kept) == LARGE


async def test_what_a_crash_left_is_swept_later(
    repository: ActionRepo, objects: Objects, database_url: str, store_url: str
) -> None:
    """The rows of uploads that a killed server left, and objects of runs that were pruned by a server that
    was killed after it, or has no store."""
    kept = await send(repository, artifact())
    store = repository.artifacts.objects.store
    assert store is not None
    half = bytes(16)
    await store.write(half, parts(LARGE))
    async with repository.database.engine.begin() as connection:
        now = await connection.scalar(select(database_now()))
        assert now is not None
        hour = timedelta(hours=1)
        await connection.execute(artifact_objects.insert(), {"id": half, "delete_after": now + hour})
    await repository.artifacts.objects.clean_up()
    assert objects() == sorted([half.hex(), kept.id.hex()])
    old_one = await send(repository, artifact("y"))
    async with open_repository(database_url, artifact_store="none") as other:
        await other.artifacts.store(artifact("y"), b"small")
        await other.artifacts.objects.clean_up()
    assert old_one.id.hex() in objects()
    async with repository.database.engine.begin() as connection:
        late = sql_update(artifact_objects).where(artifact_objects.c.id == half)
        await connection.execute(late.values(delete_after=now - hour))
    await repository.artifacts.objects.clean_up()
    assert (objects(), await rows(repository)) == ([kept.id.hex()], 1)


async def test_an_upload_whose_object_may_be_deleted_is_not_committed(
    repository: ActionRepo, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a server was stopped for hours in the middle of it."""
    monkeypatch.setattr(objects_module, "_KEPT", timedelta(hours=-1))
    with pytest.raises(Conflict, match="too long"):
        await send(repository, artifact())
    assert (await listed(repository), objects(), await rows(repository)) == ([], [], 0)


async def test_an_upload_of_a_run_that_is_pruned_meanwhile_leaves_nothing(
    repository: ActionRepo, objects: Objects
) -> None:
    old = RunIdentifier("etl", "production", "old")
    await repository.actions.create([new(run=old, created_at=at(0))])
    await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
    digest = f"sha256:{hashlib.sha256(LARGE).hexdigest()}"
    upload = await repository.artifacts.announce(artifact(run=old), len(LARGE), digest)

    async def pruned_meanwhile() -> AsyncIterator[bytes]:
        async for part in parts(LARGE[:MIB]):
            yield part
        assert [done async for done in repository.pruning.prune(timedelta(days=1))]
        async for part in parts(LARGE[MIB:]):
            yield part

    with pytest.raises(ActionNotFound):
        await repository.artifacts.receive(upload, pruned_meanwhile())
    assert (objects(), await rows(repository)) == ([], 0)


async def test_announcements_are_checked(database_url: str, store_url: str) -> None:
    limits = ArtifactLimits(bytes=10 * MIB, bytes_per_run=4 * MIB)
    digest = "sha256:" + "0" * 64
    async with open_repository(database_url, artifact_store=store_url, artifact_limits=limits) as repository:
        await make_run(repository)
        announce = repository.artifacts.announce
        for size, error in ((-1, InvalidArgument), (10 * MIB + 1, QuotaExceeded), (5 * MIB, QuotaExceeded)):
            with pytest.raises(error):
                await announce(artifact(), size, digest)
        for text in ("", "sha256:0", "sha1:" + "0" * 40, "md5:" + "g" * 32, "0" * 64):
            with pytest.raises(InvalidArgument, match="digest"):
                await announce(artifact(), 1, text)
        with pytest.raises(ActionNotFound):
            await announce(artifact(of="none"), 1, digest)
        for role, project in ((Role.ADMIN, "other"), (Role.VIEWER, "etl")):
            other = repository.on_behalf_of(Access(frozenset({Grant(role, project)})))
            with pytest.raises(Forbidden):
                await other.artifacts.announce(artifact(), 1, digest)
        await send(repository, artifact())
        with pytest.raises(QuotaExceeded):
            await announce(artifact("y"), 2 * MIB, digest)
        # Each alone would fit.
        results = await asyncio.gather(
            *(send(repository, artifact("y", attempt=n), bytes(MIB // 2)) for n in range(1, 5)),
            return_exceptions=True,
        )
        assert [type(each) for each in results].count(Artifact) == 1
        assert [type(each) for each in results].count(QuotaExceeded) == 3


async def test_without_a_store_large_artifacts_are_refused(database_url: str) -> None:
    async with open_repository(database_url, artifact_store="none") as repository:
        await make_run(repository)
        with pytest.raises(QuotaExceeded, match="RUNGRAPH_ARTIFACT_STORE"):
            await send(repository, artifact())
        assert (await send(repository, artifact(), bytes(MIB))).size == MIB


async def test_lost_bytes_are_not_found(repository: ActionRepo) -> None:
    stored = await send(repository, artifact())
    store = repository.artifacts.objects.store
    assert store is not None
    await store.delete([stored.id])
    with pytest.raises(NotFound, match="missing"):
        await repository.artifacts.open(stored, 0, stored.size)
    await store.delete([stored.id, bytes(16)])


async def test_replicas_read_and_replace_what_others_stored(
    repository: ActionRepo, objects: Objects, database_url: str, store_url: str
) -> None:
    first = await send(repository, artifact())
    async with open_repository(database_url, artifact_store=store_url) as other:
        assert await content_of(other, first) == LARGE
        second = await send(other, artifact(), LARGE + b"2")
    await repository.artifacts.objects.clean_up()
    assert await content_of(repository, second) == LARGE + b"2"
    assert objects() == [second.id.hex()]
    assert await rows(repository) == 1
    assert RUN == action().run


async def test_the_command_prune_deletes_the_bytes(
    repository: ActionRepo, objects: Objects, database_url: str, store_url: str
) -> None:
    old = RunIdentifier("etl", "production", "old")
    await repository.actions.create([new(run=old, created_at=at(0))])
    await send(repository, artifact(run=old))
    kept = await send(repository, artifact())
    await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
    environment = {**os.environ, "RUNGRAPH_DATABASE_URL": database_url, "RUNGRAPH_ARTIFACT_STORE": store_url}
    pruning = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "rungraph"), "prune", "--older-than", "1d", env=environment
    )
    async with asyncio.timeout(60):
        assert await pruning.wait() == 0
    assert (objects(), await rows(repository)) == ([kept.id.hex()], 1)


async def test_an_unavailable_store_does_not_stop_pruning(database_url: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    async with open_repository(database_url, artifact_store=f"file://{store}") as repository:
        old = RunIdentifier("etl", "production", "old")
        await repository.actions.create([new(run=old, created_at=at(0))])
        stored = await send(repository, artifact(run=old))
        await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
        path = store / stored.id.hex()[:2] / stored.id.hex()
        moved = tmp_path / "moved"
        path.rename(moved)
        path.mkdir()  # cannot be unlinked
        assert [done async for done in repository.pruning.prune(timedelta(days=1))]
        assert await repository.artifacts.find(stored.id) is None
        assert await rows(repository) == 1
        assert repository.artifacts.objects.counts.cleanups_failed == 1
        path.rmdir()
        moved.rename(path)
        await repository.artifacts.objects.clean_up()
        assert await rows(repository) == 0
        assert not path.exists()
