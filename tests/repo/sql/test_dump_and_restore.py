"""A restored dump is complete, and streams do not mistake it for the same database."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import make_url, text

from repo import (
    Action,
    ActionEvent,
    ActionPhase,
    ActionRepo,
    Artifact,
    ArtifactKind,
    Frame,
    FrameKind,
    LogPage,
    NewArtifact,
    NewLogLine,
    Run,
    migrate,
    open_repository,
)
from tests.repo.actions.test_pruning import make_ended, named, prune
from tests.support.databases import wait_for
from tests.support.making import (
    ADA,
    RUN,
    action,
    all_events,
    event,
    make_run,
    new,
    update,
)
from tests.support.postgres import running_postgres
from tests.support.postgres_data import find_binaries

T = TypeVar("T")
SECONDS = 40
LONG_LIVED = 5_000_000
"""Earlier transactions of the first database, so that its ids are higher."""
PAGE = Path("docs/upgrades-and-backup.md")


@dataclass(frozen=True)
class Stored:
    """All runs, actions, events, logs and artifacts of a database."""

    runs: list[Run]
    actions: list[Action]
    events: list[ActionEvent]
    logs: list[LogPage]
    artifacts: list[tuple[Artifact, bytes]]
    signing_key: bytes


async def everything(repository: ActionRepo) -> Stored:
    runs = list((await repository.runs.page()).items)
    found = list((await repository.list_actions()).items)
    events = await all_events(repository, [each.identifier for each in found])
    # Transaction ids mean nothing in another database.
    every_event = [replace(one, transaction_id=0) for each in found for one in events[each.identifier]]
    logs = [await repository.logs.page(each.identifier, 1) for each in found]
    listed = await repository.artifacts.list_of([each.identifier for each in found])
    stored = [each for some in listed.values() for each in some]
    contents = await repository.artifacts.read([each.id for each in stored])
    artifacts = [(each, contents[each.id]) for each in stored]
    return Stored(runs, found, every_event, logs, artifacts, await repository.artifacts.signing_key())


async def next_of(stream: AsyncGenerator[Frame[T], None]) -> Frame[T]:
    async with asyncio.timeout(SECONDS):
        return await anext(stream)


def watches(repository: ActionRepo, **after: Any) -> list[AsyncGenerator[Frame[Any], None]]:
    return [
        repository.watch_all_run_updates(**after),
        repository.watch_all_action_updates(RUN, **after),
        repository.watches.watch_events(RUN, **after),
        repository.watch_state_updates(**after),
        repository.watches.watch_abort_requests(**after),
    ]


async def fill(url: str) -> Stored:
    """The content of the database."""
    async with open_repository(url) as repository:
        await make_ended(repository, named("removed"))
        await prune(repository)
        await make_run(repository, b="a0", c="b")
        await repository.actions.create([new("d", "a0", spec={"b": 1, "a": [None, 1.5, "ä"]})])
        await repository.actions.update_phases([update("b", ActionPhase.RUNNING)])
        await repository.insert_events([event("b"), event("b", ActionPhase.FAILED, outputs={"x": 1})])
        await repository.update_action_state(action("c"), "state of ✓")
        await repository.logs.append(action("c"), [NewLogLine(f"line {n} ✓") for n in range(50)])
        for number in range(3):
            made = NewArtifact(action("c"), number, ArtifactKind.FILE, "x", "text/plain")
            await repository.artifacts.store(made, bytes(range(256)) * number)
        await repository.abort_action(action("d"), "wrong", ADA)
        if not repository.database.is_sqlite:
            async with repository.database.engine.begin() as connection:
                for table in ("actions", "action_events", "removed_runs"):
                    later = f"transaction_id = transaction_id + {LONG_LIVED}"
                    await connection.execute(text(f"UPDATE {table} SET {later}"))
        return await everything(repository)


async def write_after_the_backup(url: str) -> str:
    """A cursor after changes that no backup has."""
    async with (
        open_repository(url) as repository,
        aclosing(repository.watch_state_updates()) as stream,
    ):
        await next_of(stream)
        await repository.update_action_state(action("b"), "lost")
        return (await next_of(stream)).cursor


@pytest.fixture(scope="module")
def other_server() -> Iterator[str]:
    """Another PostgreSQL server with low transaction ids."""
    with running_postgres(is_unrelated=True) as server:
        yield server.url


@dataclass(frozen=True)
class Restored:
    """A database restored from the dump of another one."""

    url: str
    before: Stored
    """The content of the original."""
    cursor: str
    """A cursor of the original."""


@pytest.fixture
def restored(database_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Restored:
    before, file = wait_for(fill(database_url)), tmp_path / "backup"
    backup(database_url, file)
    cursor = wait_for(write_after_the_backup(database_url))
    if database_url.startswith("sqlite"):
        url = f"sqlite:///{shutil.copyfile(file, tmp_path / 'restored.db')}"
    else:
        url = restore_dump(file, request.getfixturevalue("other_server"))
    # A server migrates when it starts.
    wait_for(migrate(url))
    return Restored(url, before, cursor)


def backup(url: str, file: Path) -> None:
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
            connection.execute("VACUUM INTO ?", (str(file),))
    else:
        run_program("pg_dump", "--format=custom", f"--file={file}", url)


def restore_dump(file: Path, server: str) -> str:
    url, at_server = make_url(server).set(database="restored"), f"--maintenance-db={server}"
    target = url.render_as_string(hide_password=False)
    run_program("dropdb", at_server, "--if-exists", "--force", "restored")
    run_program("createdb", at_server, "--template=template0", "--encoding=UTF8", "restored")
    once = ("--no-owner", "--exit-on-error", "--single-transaction")
    run_program("pg_restore", f"--dbname={target}", *once, str(file))
    return target


def run_program(name: str, *arguments: str) -> None:
    binaries = find_binaries()
    assert binaries is not None
    program = [str(binaries / name), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


async def test_a_restored_database_is_complete(restored: Restored) -> None:
    async with open_repository(restored.url) as repository:
        await repository.check()
        assert await everything(repository) == restored.before


async def test_all_streams_restart_on_a_restored_database(restored: Restored) -> None:
    async with open_repository(restored.url) as repository:
        pairs = zip(watches(repository, after=restored.cursor), watches(repository), strict=True)
        for again, first in pairs:
            async with aclosing(again), aclosing(first):
                assert (await next_of(again)).kind is FrameKind.RESYNC
                synced = False
                while not synced:
                    mine, theirs = await next_of(again), await next_of(first)
                    assert (mine.kind, list(mine.items)) == (theirs.kind, list(theirs.items))
                    assert not mine.removed
                    synced = mine.kind is FrameKind.SYNCED


async def test_streams_of_a_restored_database_send_only_new_changes(
    restored: Restored,
) -> None:
    """The transaction ids in its rows are in the future of the new server."""
    async with (
        open_repository(restored.url) as repository,
        aclosing(repository.watch_all_action_updates(RUN)) as stream,
        aclosing(repository.watch_all_run_updates()) as runs,
    ):
        while (await next_of(stream)).kind is not FrameKind.SYNCED:
            pass
        while (await next_of(runs)).kind is not FrameKind.SYNCED:
            pass
        assert not await repository.watches.hub.poll()
        await repository.actions.update_phases([update("b", ActionPhase.FAILED)])
        assert [each.name for each in (await next_of(stream)).items] == ["b"]


def test_the_documentation_of_backups_has_the_tested_commands() -> None:
    output = PAGE.read_text()
    for part in ("pg_dump --format=custom", "--single-transaction", "VACUUM INTO", "rungraph restored"):
        assert part in output
