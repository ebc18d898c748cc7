"""Artifacts that the database contains: which one stays, limits, permissions, and watchers."""

import asyncio
import hashlib
import itertools
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from repo import (
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Artifact,
    ArtifactKind,
    ArtifactLimits,
    Forbidden,
    FrameKind,
    Grant,
    InvalidArgument,
    NewArtifact,
    QuotaExceeded,
    Role,
    RunIdentifier,
    open_repository,
)
from tests.support.making import RUN, action, at, make_run, new, update

KINDS = tuple(ArtifactKind)


def artifact(name: str = "x", of: str = "a0", run: RunIdentifier = RUN, **rest: Any) -> NewArtifact:
    values: dict[str, Any] = {"attempt": 1, "kind": ArtifactKind.FILE, "media_type": "text/plain"} | rest
    return NewArtifact(action(of, run), name=name, **values)


async def listed(repository: ActionRepo, of: str = "a0", **criteria: Any) -> list[Artifact]:
    return (await repository.artifacts.list_of([action(of)], **criteria))[action(of)]


async def content_of(repository: ActionRepo, stored: Artifact) -> bytes:
    return b"".join([part async for part in await repository.artifacts.open(stored, 0, stored.size)])


async def test_an_artifact_is_stored_with_its_digest_and_size(repository: ActionRepo) -> None:
    await make_run(repository)
    content = bytes(range(256)) * 400
    stored = await repository.artifacts.store(artifact("figures/x.bin", created_at=at(5)), content)
    assert (stored.digest, stored.size) == (f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))
    assert stored.created_at == at(5)
    assert await listed(repository) == [stored]
    assert await repository.artifacts.find(stored.id) == stored
    assert await content_of(repository, stored) == content
    parts = await repository.artifacts.open(stored, 10, 300)
    assert b"".join([part async for part in parts]) == content[10:300]


async def test_the_same_content_again_changes_nothing(repository: ActionRepo) -> None:
    await make_run(repository)
    stored = await repository.artifacts.store(artifact(), b"a")
    before = await repository.get_action(action())
    assert await repository.artifacts.store(artifact(), b"a") == stored
    assert await listed(repository) == [stored]
    assert await repository.get_action(action()) == before


async def test_of_different_contents_the_one_that_was_made_later_stays_in_any_order(
    repository: ActionRepo,
) -> None:
    made = [(at(1), b"a"), (at(3), b"b"), (at(2), b"c"), (at(3), b"d"), (at(2), b"d")]
    names = [f"t{number}" for number in range(24)]
    await make_run(repository, **dict.fromkeys(names, "a0"))
    orders = list(itertools.permutations(made))
    found = []
    for name, order in zip(names, orders[:: len(orders) // len(names)], strict=False):
        # Some of them in one transaction, and some repeated.
        for time, content in order[:2]:
            await repository.artifacts.store(artifact(of=name, created_at=time), content)
        rest = [
            repository.artifacts.store(artifact(of=name, created_at=time), content)
            for time, content in (*order[2:], order[0])
        ]
        await asyncio.gather(*rest)
        (stored,) = await listed(repository, name)
        found.append((stored.sha256, stored.created_at, await content_of(repository, stored)))
    assert found == [found[0]] * len(found)
    greatest = max(b"b", b"d", key=lambda content: hashlib.sha256(content).digest())
    assert found[0][1:] == (at(3), greatest)


async def test_without_times_the_one_that_arrives_later_stays(repository: ActionRepo) -> None:
    await make_run(repository)
    for content in (b"b", b"a", b"c"):
        stored = await repository.artifacts.store(artifact(), content)
        assert await listed(repository) == [stored]
        assert await content_of(repository, stored) == content


async def test_artifacts_are_listed_by_attempt_kind_and_name(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    places = [(n, kind, name) for n in (1, 2, 10) for kind in KINDS for name in ("a", "b")]
    for number, kind, name in reversed(places):
        await repository.artifacts.store(artifact(name, attempt=number, kind=kind), b"x")
    await repository.artifacts.store(artifact(of="b"), b"x")

    def of(found: list[Artifact]) -> list[Any]:
        return [each.place[1:] for each in found]

    assert of(await listed(repository)) == places
    assert of(await listed(repository, attempt=2)) == [place for place in places if place[0] == 2]
    some = (ArtifactKind.INPUTS, ArtifactKind.REPORT)
    assert of(await listed(repository, kinds=some)) == [place for place in places if place[1] in some]
    assert of(await listed(repository, limit=3)) == places[-3:]
    assert of(await listed(repository, attempt=-1)) == of(await listed(repository, kinds=())) == []
    both = await repository.artifacts.list_of([action(), action("b"), action("none")], limit=2)
    assert [of(both[action(name)]) for name in ("a0", "b", "none")] == [
        places[-2:],
        [(1, ArtifactKind.FILE, "x")],
        [],
    ]


async def test_a_stored_artifact_is_a_change_of_its_action(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    async with aclosing(repository.watch_all_action_updates(RUN)) as frames:
        while (await anext(frames)).kind is not FrameKind.SYNCED:
            pass
        await repository.artifacts.store(artifact(of="b"), b"x")
        changed = await anext(frames)
    assert [each.name for each in changed.items] == ["b"]


async def test_an_artifact_of_a_missing_action_is_refused(repository: ActionRepo) -> None:
    await make_run(repository)
    writes = [repository.artifacts.store(artifact(of=name), b"x") for name in ("a0", "none", "a0")]
    first, missing, last = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(missing, ActionNotFound)
    assert first == last
    assert await listed(repository) == [first]


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "a\nb"},
        {"name": "x" * 256},
        {"attempt": -1},
        {"media_type": "text"},
        {"media_type": "text/html\r\nX: y"},
        {"media_type": "text/" + "x" * 255},
    ],
)
def test_invalid_artifacts_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument):
        artifact(**values)


async def test_a_large_artifact_is_not_stored_in_a_call(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.artifacts.store(artifact(), bytes(1024 * 1024))
    with pytest.raises(InvalidArgument, match="createArtifactUpload"):
        await repository.artifacts.store(artifact("y"), bytes(1024 * 1024 + 1))


async def test_limits_of_an_attempt_and_of_a_run(database_url: str) -> None:
    limits = ArtifactLimits(per_attempt=2, bytes_per_run=10)
    async with open_repository(database_url, artifact_limits=limits) as repository:
        await make_run(repository, b="a0")
        store = repository.artifacts.store
        await store(artifact("x"), b"123")
        await store(artifact("y"), b"123")
        with pytest.raises(QuotaExceeded, match="PER_ATTEMPT"):
            await store(artifact("z"), b"1")
        with pytest.raises(QuotaExceeded, match="PER_RUN"):
            await store(artifact("z", attempt=2), b"12345")
        await store(artifact("z", attempt=2), b"1234")
        with pytest.raises(QuotaExceeded, match="PER_RUN"):
            await store(artifact("x"), b"1234")
        # What is replaced does not count any more.
        await store(artifact("x"), b"1")
        await store(artifact("z", of="b"), b"12")
        results = await asyncio.gather(
            *(store(artifact("w", of="b", attempt=n), b"") for n in (1, 2)),
            store(artifact("w", of="b", attempt=3), b"12"),
            return_exceptions=True,
        )
        assert [isinstance(each, Artifact) for each in results] == [True, True, False]
        assert isinstance(results[2], QuotaExceeded)


async def test_pruning_removes_artifacts_with_their_run(repository: ActionRepo) -> None:
    old = RunIdentifier("etl", "production", "old")
    await make_run(repository)
    await repository.actions.create([new(run=old, created_at=at(0)), new("b", "a0", old)])
    stored = [await repository.artifacts.store(artifact(of=of, run=old), b"x") for of in ("a0", "b")]
    kept = await repository.artifacts.store(artifact(), b"x")
    await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
    assert [done async for done in repository.pruning.prune(timedelta(days=1))]
    assert [await repository.artifacts.find(each.id) for each in (*stored, kept)] == [None, None, kept]
    assert (await repository.artifacts.read([each.id for each in (*stored, kept)])).keys() == {kept.id}
    # A new run of the same name begins with nothing.
    await make_run(repository, old)
    found = await repository.artifacts.list_of([action(run=old)])
    assert found == {action(run=old): []}


def tenant(project: str, role: Role = Role.ADMIN) -> Access:
    return Access(frozenset({Grant(role, project)}))


async def test_callers_write_and_read_only_where_they_may(repository: ActionRepo) -> None:
    await make_run(repository)
    stored = await repository.artifacts.store(artifact(), b"x")
    own, other = tenant("etl"), tenant("other")
    viewer = tenant("etl", Role.VIEWER)
    assert await listed(repository.on_behalf_of(own)) == [stored]
    assert await listed(repository.on_behalf_of(viewer)) == [stored]
    assert await listed(repository.on_behalf_of(other)) == []
    for access in (other, viewer):
        with pytest.raises(Forbidden):
            await repository.on_behalf_of(access).artifacts.store(artifact(), b"y")
        with pytest.raises(Forbidden):
            await repository.on_behalf_of(access).artifacts.store(artifact(of="none"), b"y")
    assert await repository.on_behalf_of(own).artifacts.store(artifact(), b"y") != stored
