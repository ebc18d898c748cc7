"""The incarnations of the database: which server process has run it since when, and whether that one has
everything that could be seen before.

A failover or a restore may lose the newest commits, and gives their transaction ids to others. What has been
read before may be gone then, and what is there has not been read, without any number telling. So a table
lists the incarnations, each with a random id: a new one begins with every start, recovery or promotion of
PostgreSQL. It says until which position in the log (WAL) everything of the incarnation before is there. A
position that was taken later in the log than that has seen what is lost: whoever holds it begins anew.
"""

from uuid import uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from repo.domain.errors import DatabaseUnavailable
from repo.domain.positions import Incarnation, Position
from repo.sql.drivers import Run

logger = structlog.get_logger("rungraph.incarnations")

_KEPT = 1_000
"""Incarnations that are known. A position of an older one is not honoured."""
_BLOCK, _BLOCK_HEADER = 8_192, 40
"""The log comes in blocks with a header of this size at the most. A block that is full ends where the header
of the next one begins; the next record comes behind it."""

_NEWEST = "(SELECT id, run, place FROM incarnations ORDER BY number DESC LIMIT 1) AS newest"
# What changes with each start of the server, with each recovery and with a promotion, and is not the same in
# a copy of the database on the same server. Everybody may ask for it.
_RUN = (
    "concat_ws(' ', (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " CAST(CAST('incarnations' AS regclass) AS oid), pg_last_wal_replay_lsn(),"
    " extract(epoch FROM pg_postmaster_start_time()))"
)
_POSITION_ON_POSTGRES = (
    "SELECT CAST(pg_current_snapshot() AS TEXT),"
    " CASE WHEN pg_is_in_recovery() THEN NULL"
    " ELSE CAST(pg_current_wal_insert_lsn() - '0/0' AS BIGINT) END,"
    f" newest.id, newest.run = {_RUN}"
    f" FROM (SELECT 1) AS one LEFT JOIN {_NEWEST} ON true"
)
_POSITION_ON_SQLITE = f"SELECT value, newest.id FROM transaction_counter LEFT JOIN {_NEWEST} ON true"
_MAY_READ_CONTROL = text(
    "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
    " AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')"
    " AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')"
)
# Where the log ended before this start. After a recovery the server remembers it for as long as it runs. Else
# it was stopped in order, and the last checkpoint says so, if it is still that of the stop. The name of the
# file of the log begins with the timeline.
_END_ON_POSTGRES = text(
    "SELECT concat_ws(' ', system_identifier,"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " CAST(CAST('incarnations' AS regclass) AS oid)),"
    " CAST(coalesce(pg_last_wal_replay_lsn(), CASE WHEN redo_lsn = checkpoint_lsn"
    " AND checkpoint_time <= pg_postmaster_start_time() THEN checkpoint_lsn END) - '0/0' AS BIGINT),"
    " pg_last_wal_replay_lsn() IS NOT NULL, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
    " FROM pg_control_system(), pg_control_checkpoint()"
)
_NEXT_TRANSACTION = text("SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)")


class Incarnations:
    """The incarnations of one database, as one process sees them."""

    def __init__(self, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        # A file has no server: each process that writes to it begins an incarnation, which finds out
        # whether the file was replaced before.
        self._process = uuid4().hex
        self._has_begun = False

    async def position(self, run: Run) -> Position | None:
        """What is seen at this moment; None where its incarnation has not begun. Raises
        DatabaseUnavailable on a standby, which may not have what was seen on the primary."""
        if self._is_sqlite:
            ((value, id),) = await run(_POSITION_ON_SQLITE)
            return None if id is None else Position(value + 1, frozenset(), id, value + 1)
        ((seen, log_end, id, is_current),) = await run(_POSITION_ON_POSTGRES)
        if log_end is None:
            raise DatabaseUnavailable("the database is a standby: only a primary can be watched")
        if not is_current:
            return None
        _, upper, running = seen.split(":")
        return Position(int(upper), frozenset(map(int, filter(None, running.split(",")))), id, log_end)

    async def all(self, run: Run) -> list[Incarnation]:
        """Those that are known, the first one first."""
        found = await run("SELECT id, complete_until, next_transaction FROM incarnations ORDER BY number")
        return [Incarnation(*row) for row in found]

    def is_checked(self, connection: AsyncConnection) -> bool:
        """Whether what runs the database at the other end of the connection has its incarnation."""
        return self._has_begun if self._is_sqlite else "incarnation" in connection.info

    def note_checked(self, connection: AsyncConnection) -> None:
        """It has."""
        self._has_begun = True
        connection.info["incarnation"] = True

    async def begin(self, connection: AsyncConnection, lost_after: str | None = None) -> None:
        """Begin one in this transaction, if what runs the database has none. With `lost_after`, the id of
        the newest one where something was lost, begin one that continues none, unless somebody did."""
        if not self._is_sqlite:
            await connection.execute(text("LOCK TABLE incarnations IN EXCLUSIVE MODE"))
        found = await connection.execute(
            text("SELECT number, id, place, run FROM incarnations ORDER BY number DESC LIMIT 1")
        )
        number, id, last_place, last_run = found.one_or_none() or (0, None, None, None)
        running = self._process if self._is_sqlite else await connection.scalar(text(f"SELECT {_RUN}"))
        if (last_run == running) if lost_after is None else (id != lost_after):
            return
        place, end = await self._end(connection, last_place)
        complete_until = end if lost_after is None else None
        next_transaction = None if self._is_sqlite else await connection.scalar(_NEXT_TRANSACTION)
        await connection.execute(
            text(
                "INSERT INTO incarnations (number, id, place, run, complete_until, next_transaction)"
                " VALUES (:number, :id, :place, :run, :complete_until, :next_transaction)"
            ),
            {
                "number": number + 1,
                "id": uuid4().hex,
                "place": place,
                "run": running,
                "complete_until": complete_until,
                "next_transaction": next_transaction,
            },
        )
        await connection.execute(
            text("DELETE FROM incarnations WHERE number <= :last"), {"last": number + 1 - _KEPT}
        )
        if id is not None and not self._is_sqlite:
            logger.info("the database was started, promoted or restored", complete_until=complete_until)

    async def _end(self, connection: AsyncConnection, last_place: str | None) -> tuple[str, int | None]:
        """Which database it is, and until where everything of the newest incarnation, which was at the
        `last_place`, is there; None where that cannot be known."""
        if self._is_sqlite:
            end = await connection.scalar(text("SELECT value FROM transaction_counter"))
            return "", end if last_place is not None else None
        if not await connection.scalar(_MAY_READ_CONTROL):
            return "", None
        database, end, has_recovered, name = (await connection.execute(_END_ON_POSTGRES)).one()
        timeline = int(name, 16)
        # A promotion begins a timeline. One that did not end the recovery of this start was not seen by
        # anybody, and nobody knows any more where the timeline before was left.
        follows = {f"{database} {timeline}"} | ({f"{database} {timeline - 1}"} if has_recovered else set())
        if last_place not in follows or end is None:
            return f"{database} {timeline}", None
        return f"{database} {timeline}", end + _BLOCK_HEADER if end % _BLOCK == 0 else end
