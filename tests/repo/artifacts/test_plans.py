"""Query plans of artifacts: no table is read as a whole."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from repo import ActionRepo, ArtifactKind, open_repository
from tests.repo.artifacts.test_artifacts import artifact
from tests.repo.artifacts.test_uploads import send
from tests.support.databases import Databases
from tests.support.making import action, make_run, new
from tests.support.plans import filled, plans

ACTIONS = 2_000
OF_EACH = 15


@pytest.fixture(scope="module")
def filled_url(databases: Databases, migrated_url: str) -> Iterator[str]:
    """A database with enough artifacts for the planner to have a choice."""
    with filled(databases, migrated_url, fill) as url:
        yield url


async def fill(url: str) -> None:
    async with open_repository(url) as repository:
        await make_run(repository)
        await repository.actions.create([new(f"t{i:04}", "a0") for i in range(ACTIONS)])
        is_sqlite = repository.database.is_sqlite
        id, sha = (
            ("randomblob(16)", "randomblob(32)")
            if is_sqlite
            else (
                "decode(md5(a.name || n), 'hex')",
                "sha256(a.key)",
            )
        )
        now = "1767225600000000" if is_sqlite else "now()"
        statements = [
            f"""INSERT INTO artifacts
              (id, action_key, attempt, kind, name, media_type, sha256, size, in_store, created_at)
            SELECT {id}, a.key, 1 + n % 3, 4, 'n' || n, 'text/plain', {sha}, 100, n % 2 = 0, {now}
            FROM actions AS a, numbers""",
            "INSERT INTO artifact_bytes SELECT id, sha256 FROM artifacts WHERE NOT in_store",
            "INSERT INTO artifact_objects (id) SELECT id FROM artifacts WHERE in_store",
        ]
        numbers = f"""WITH RECURSIVE numbers (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {OF_EACH}) """
        async with repository.database.engine.begin() as connection:
            for number, statement in enumerate(statements):
                await connection.execute(text(numbers + statement if number == 0 else statement))
            if not is_sqlite:  # production never does it there
                await connection.execute(text("ANALYZE"))


ONE, SOME = action("t0001"), [action(f"t{i:04}") for i in range(5)]
Call = Callable[[ActionRepo], Awaitable[object]]


async def read(repository: ActionRepo) -> None:
    (found,) = (await repository.artifacts.list_of([ONE], limit=1)).values()
    await repository.artifacts.find(found[0].id)
    await repository.artifacts.read([each.id for each in found])


CALLS: dict[str, Call] = {
    "the artifacts of an action": lambda r: r.artifacts.list_of([ONE]),
    "those of an attempt": lambda r: r.artifacts.list_of([ONE], 1, (ArtifactKind.FILE,)),
    "those of some": lambda r: r.artifacts.list_of(SOME, limit=5),
    "one with its bytes": read,
    "a new one": lambda r: r.artifacts.store(artifact("new", of="t0001"), b"x"),
    "another content": lambda r: r.artifacts.store(artifact("n3", of="t0002"), b"x"),
    "an upload": lambda r: send(r, artifact("large", of="t0003")),
    "a cleanup": lambda r: r.artifacts.objects.clean_up(),
}


@pytest.fixture
async def repository(filled_url: str, tmp_path: Path) -> AsyncIterator[ActionRepo]:
    async with open_repository(filled_url, artifact_store=f"file://{tmp_path}") as opened:
        yield opened


@pytest.mark.parametrize("call", CALLS)
async def test_artifacts_are_read_and_written_by_index(repository: ActionRepo, call: str) -> None:
    found = await plans(repository, CALLS[call])
    assert found
    for plan in found:
        assert not re.search(r"Seq Scan on (artifacts|artifact_bytes|artifact_objects|actions|runs)", plan), (
            plan
        )
        assert not re.search(r"SCAN (artifact\w*|actions|runs)(?! USING)", plan), plan
