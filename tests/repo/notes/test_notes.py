"""Notes: who may write them, what they change, and that they go with their run."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from repo import (
    MAX_NOTES,
    Access,
    ActionNotFound,
    ActionPhase,
    ActionRepo,
    Forbidden,
    FrameKind,
    Grant,
    Identity,
    IdentityKind,
    InvalidArgument,
    NotFound,
    QuotaExceeded,
    Role,
    RunIdentifier,
    RunNotFound,
    open_repository,
)
from repo.tables import notes
from tests.support.databases import Databases
from tests.support.making import ADA, RUN, action, make_run, new
from tests.support.plans import filled, plans

BOB = Identity(IdentityKind.USER, "user-2", "User Two")
ROOT = action("a0")


async def texts(repository: ActionRepo, name: str = "a0", **rest: Any) -> list[str]:
    (found,) = (await repository.notes.list_of([action(name)], **rest)).values()
    return [note.text for note in found]


async def test_a_note_on_a_run_is_one_of_its_root_and_both_show_the_last(repository: ActionRepo) -> None:
    await make_run(repository, b="a0")
    first = await repository.notes.add(RUN, " I'm on it\r\nhttps://example.org/1 ", ADA)
    last = await repository.notes.add(ROOT, "fixed", BOB)
    await repository.notes.add(action("b"), "of b", ADA)
    assert await texts(repository) == ["I'm on it\nhttps://example.org/1", "fixed"]
    assert await texts(repository, limit=1) == ["fixed"]
    run, root = await repository.get_run(RUN), await repository.get_action(ROOT)
    assert (run.note_count, run.last_note) == (root.note_count, root.last_note) == (2, last)
    assert first.author == ADA
    assert (await repository.get_action(action("b"))).note_count == 1


async def test_a_repeat_stores_nothing_new(repository: ActionRepo) -> None:
    await make_run(repository)
    first = await repository.notes.add(RUN, "on it", ADA)
    revision = (await repository.get_run(RUN)).revision
    assert await repository.notes.add(RUN, "on it ", ADA) == first
    assert (await repository.get_run(RUN)).revision == revision
    for author, key in ((BOB, None), (ADA, "1"), (ADA, "2"), (ADA, "1")):
        await repository.notes.add(RUN, "on it", author, key)
    assert (await repository.get_run(RUN)).note_count == 4
    edited = await repository.notes.update(first.id, "done", ADA)
    assert await repository.notes.add(RUN, "on it", ADA) == edited


async def test_an_edited_or_deleted_note_changes_what_its_run_shows(repository: ActionRepo) -> None:
    await make_run(repository)
    first = await repository.notes.add(RUN, "one", ADA)
    last = await repository.notes.add(RUN, "two", ADA)
    edited = await repository.notes.update(last.id, "three", ADA)
    assert (edited.text, edited.created_at) == ("three", last.created_at)
    assert edited.edited_at is not None
    assert (await repository.get_run(RUN)).last_note == edited
    assert await repository.notes.update(last.id, "three", ADA) == edited
    assert await repository.notes.delete(last.id, ADA)
    assert not await repository.notes.delete(last.id, ADA)
    assert (await repository.get_run(RUN)).last_note == first
    assert await repository.notes.delete(first.id, ADA)
    run = await repository.get_run(RUN)
    assert (run.note_count, run.last_note) == (0, None)
    with pytest.raises(NotFound, match="there is no such note"):
        await repository.notes.update(first.id, "x", ADA)


def as_(repository: ActionRepo, role: Role, project: str = RUN.project) -> ActionRepo:
    return repository.on_behalf_of(Access(frozenset({Grant(role, project)})))


@pytest.mark.parametrize("role", Role)
async def test_callers_change_their_own_notes_and_administrators_all(
    repository: ActionRepo, role: Role
) -> None:
    await make_run(repository)
    others = await repository.notes.add(RUN, "of another", BOB)
    nobodys = await repository.notes.add(RUN, "of nobody", None)
    mine = await repository.notes.add(RUN, "mine", ADA)
    caller = as_(repository, role)
    assert await texts(caller) == ["of another", "of nobody", "mine"]
    if role is Role.VIEWER:
        for call in (
            caller.notes.add(RUN, "x", ADA),
            caller.notes.update(mine.id, "x", ADA),
            caller.notes.delete(mine.id, ADA),
        ):
            with pytest.raises(Forbidden, match="^you may not write notes in etl/production$"):
                await call
    else:
        await caller.notes.add(RUN, "x", ADA)
        await caller.notes.update(mine.id, "mine again", ADA)
        assert await caller.notes.delete(mine.id, ADA)
    for note in (others, nobodys):
        for change in (caller.notes.update(note.id, "x!", ADA), caller.notes.delete(note.id, ADA)):
            if role is Role.ADMIN:
                assert await change
            else:
                with pytest.raises(Forbidden):
                    await change


async def test_notes_of_others_do_not_exist(repository: ActionRepo) -> None:
    await make_run(repository)
    note = await repository.notes.add(RUN, "mine", ADA)
    stranger = as_(repository, Role.ADMIN, "other")
    assert await texts(stranger) == []
    assert not await stranger.notes.delete(note.id, ADA)
    with pytest.raises(NotFound):
        await stranger.notes.update(note.id, "x", ADA)
    with pytest.raises(Forbidden):
        await stranger.notes.add(RUN, "x", ADA)
    assert await texts(repository) == ["mine"]


async def test_what_cannot_be_a_note_is_refused(repository: ActionRepo) -> None:
    await make_run(repository)
    for text_, message in (
        (" \n ", "must not be empty"),
        ("x" * 2001, "2,001 characters; at most 2,000"),
        ("a\x07", r"U\+0007 at position 1"),
        ("\ud800", r"U\+D800"),
    ):
        with pytest.raises(InvalidArgument, match=message):
            await repository.notes.add(RUN, text_, ADA)
    with pytest.raises(InvalidArgument, match="key must not be empty"):
        await repository.notes.add(RUN, "x", ADA, "")
    with pytest.raises(RunNotFound, match="there is no run etl/production/none"):
        await repository.notes.add(RunIdentifier("etl", "production", "none"), "x", ADA)
    with pytest.raises(ActionNotFound):
        await repository.notes.add(action("none"), "x", ADA)


async def test_an_action_has_a_limited_number_of_notes_also_if_they_come_at_once(
    repository: ActionRepo,
) -> None:
    await make_run(repository)
    for number in range(MAX_NOTES - 3):
        await repository.notes.add(RUN, str(number), ADA)
    many = (repository.notes.add(RUN, f"late {number}", ADA) for number in range(6))
    results = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(each, QuotaExceeded) for each in results) == 3
    run = await repository.get_run(RUN)
    assert run.note_count == len(await texts(repository)) == MAX_NOTES
    assert run.last_note is not None
    assert [run.last_note.text] == await texts(repository, limit=1)


async def test_watchers_of_the_run_and_of_the_list_get_a_note(repository: ActionRepo) -> None:
    await make_run(repository)
    async with (
        asyncio.timeout(30),
        aclosing(repository.watch_run_updates(RUN)) as of_run,
        aclosing(repository.watch_all_run_updates()) as of_all,
    ):
        await anext(of_run)
        while (await anext(of_all)).kind is not FrameKind.SYNCED:
            pass
        note = await repository.notes.add(RUN, "one", ADA)
        assert (await anext(of_run)).last_note == note
        (run,) = (await anext(of_all)).items
        assert (run.note_count, run.last_note) == (1, note)
        await repository.notes.delete(note.id, ADA)
        assert (await anext(of_run)).last_note is None
        (run,) = (await anext(of_all)).items
        assert (run.note_count, run.last_note) == (0, None)


async def test_notes_are_pruned_with_their_run(repository: ActionRepo) -> None:
    await make_run(repository)
    await repository.notes.add(RUN, "old", ADA)
    await repository.update_action_phase(ROOT, ActionPhase.SUCCEEDED, 1)
    async for _ in repository.pruning.prune(timedelta(0)):
        pass
    async with repository.database.read() as connection:
        assert await connection.scalar(select(func.count()).select_from(notes)) == 0


@pytest.fixture(scope="module")
def filled_url(databases: Databases, migrated_url: str) -> Iterator[str]:
    """A database with enough notes for the planner to have a choice."""
    with filled(databases, migrated_url, fill) as url:
        yield url


async def fill(url: str) -> None:
    async with open_repository(url) as repository:
        await make_run(repository)
        await repository.actions.create([new(f"t{i:04}", "a0") for i in range(2000)])
        is_sqlite = repository.database.is_sqlite
        id = "randomblob(16)" if is_sqlite else "decode(md5(a.name || n), 'hex')"
        now = "1767225600000000 + n" if is_sqlite else "now() + n * interval '1 second'"
        async with repository.database.engine.begin() as connection:
            await connection.execute(
                text(f"""INSERT INTO notes (id, action_key, text, created_at)
                    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 15)
                    SELECT {id}, a.key, 'note ' || n, {now} FROM actions AS a, numbers""")
            )
            if not is_sqlite:
                await connection.execute(text("ANALYZE"))


@pytest.fixture
async def full(filled_url: str) -> AsyncIterator[ActionRepo]:
    async with open_repository(filled_url) as repository:
        yield repository


async def test_no_statement_reads_all_notes_or_actions(full: ActionRepo) -> None:
    async def write(repository: ActionRepo) -> None:
        note = await repository.notes.add(action("t0003"), "new", ADA)
        await repository.notes.update(note.id, "newer", ADA)
        await repository.notes.delete(note.id, ADA)
        await repository.notes.add(RUN, "of the run", ADA)

    some = [action(f"t{i:04}") for i in range(5)]
    found = await plans(full, write)
    found += await plans(full, lambda r: r.notes.list_of([action("t0001")], 2))
    found += await plans(full, lambda r: r.notes.list_of(some, 2))
    assert len(found) > 8
    for plan in found:
        assert not re.search(r"Seq Scan on (notes|actions)|SCAN (notes|actions)(?! USING)", plan), plan
