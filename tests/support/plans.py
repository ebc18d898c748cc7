"""Plans of the statements that calls of the repository execute."""

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from repo import ActionRepo
from tests.support.databases import Databases, wait_for
from tests.support.statements import recorded

Fill = Callable[[str], Coroutine[Any, Any, None]]
_EXPLAINED = ("SELECT", "WITH", "UPDATE actions", "DELETE", "INSERT INTO removed_runs")


@contextmanager
def filled(databases: Databases, migrated_url: str, fill: Fill) -> Iterator[str]:
    """A database that `fill` gives enough rows for the planner to have a choice; yields its URL."""
    url = databases.copy(migrated_url)
    wait_for(fill(url))
    yield url
    databases.drop(url)


async def plans(
    repository: ActionRepo, call: Callable[[ActionRepo], Awaitable[object]], polling: bool = False
) -> list[str]:
    """The plans of all statements of a call; with `polling`, including those of polls."""
    database, found = repository.database, []
    with recorded(database, polling) as seen:
        await call(repository)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    async with database.read() as connection:
        for statement, parameters in seen:
            if statement.lstrip().startswith(_EXPLAINED):
                rows = await connection.exec_driver_sql(explain + statement, parameters)
                found.append("\n".join(str(row[-1]) for row in rows))
    return found
