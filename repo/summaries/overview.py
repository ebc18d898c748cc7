"""Reads about many runs at once: how many there are, how long they take, who created them."""

from collections.abc import Collection

from repo.actions.filters import RunFilter
from repo.domain.authorization import Access
from repo.sql.database import Database
from repo.summaries.counts import RunCount, RunGrouping, fetch_counts
from repo.summaries.suggestions import Suggestions, fetch_suggestions
from repo.summaries.tasks import TaskKey
from repo.summaries.typical import TypicalDuration, fetch_typical


class Overview:
    """Reads for one caller."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access

    async def list_counts(
        self, by: RunGrouping, filter: RunFilter | None = None, first: int = 100
    ) -> list[RunCount]:
        """The `first` projects or creators of the matching runs, that with the most runs first. Reads all
        that match. Raises InvalidArgument."""
        return await fetch_counts(self._database, by, filter, self._access.readable, first)

    async def list_typical_durations(self, keys: Collection[TaskKey]) -> dict[TaskKey, TypicalDuration]:
        """How long the recent runs of these tasks took; those of which none succeeded are left out."""
        return await fetch_typical(self._database, keys, self._access.readable)

    async def suggest(self, search: str, first: int = 5) -> Suggestions:
        """At most `first` tasks and people whose name contains the text, those that begin with it first.
        Raises InvalidArgument."""
        return await fetch_suggestions(self._database, search, self._access.readable, first)
