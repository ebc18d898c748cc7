"""Incarnations of the database, by which a failover or a restore is detected.

Both may lose the newest commits and reuse their transaction ids, so a reader that continues by transaction id
would miss rows without noticing. A table lists the incarnations, each with a random id: one begins with every
start, recovery or promotion of PostgreSQL, and says up to which WAL position it contains everything of the
previous one. A reader whose position is later than that has seen lost commits and must start over.
"""

from uuid import uuid4

import structlog

from repo.domain.cursors import FeedPosition, Incarnation
from repo.domain.errors import DatabaseUnavailable
from repo.sql.pools import Execute

logger = structlog.get_logger("rungraph.incarnations")

_KEPT = 1_000
"""Incarnations in the table. Positions of older ones are invalid."""
_BLOCK, _BLOCK_HEADER = 8_192, 40
"""The WAL consists of blocks with a header of at most this size. If a block is full, the next record follows
the header of the next block."""

_NEWEST = "(SELECT id, run, place FROM incarnations ORDER BY number DESC LIMIT 1) AS newest"
# Changes with each start, recovery and promotion, differs in a copy of the database on the same server, and
# needs no privileges.
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
_MAY_READ_CONTROL = (
    "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
    " AND has_function_privilege('pg_control_checkpoint()', 'EXECUTE')"
    " AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')"
)
# Where the WAL ended before this start. After a recovery the server knows it while it runs. Otherwise it
# was shut down in order, and the last checkpoint has it, if that is still the shutdown checkpoint. The name
# of the WAL file begins with the timeline.
_END_ON_POSTGRES = (
    "SELECT concat_ws(' ', system_identifier,"
    " (SELECT oid FROM pg_database WHERE datname = current_database()),"
    " CAST(CAST('incarnations' AS regclass) AS oid)),"
    " CAST(coalesce(pg_last_wal_replay_lsn(), CASE WHEN redo_lsn = checkpoint_lsn"
    " AND checkpoint_time <= pg_postmaster_start_time() THEN checkpoint_lsn END) - '0/0' AS BIGINT),"
    " pg_last_wal_replay_lsn() IS NOT NULL, left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
    " FROM pg_control_system(), pg_control_checkpoint()"
)
_NEXT_TRANSACTION = "SELECT CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)"


class Incarnations:
    """The incarnations of one database, as seen by one process."""

    def __init__(self, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        # SQLite has no server: each process that writes to the file begins an incarnation, which shows
        # whether the file was replaced before.
        self._process = uuid4().hex

    async def position(self, execute: Execute) -> FeedPosition | None:
        """What is visible now; None if the current incarnation has not begun. Raises DatabaseUnavailable on
        a standby, which may lack what was visible on the primary."""
        if self._is_sqlite:
            ((value, id),) = await execute(_POSITION_ON_SQLITE)
            return None if id is None else FeedPosition(value + 1, frozenset(), id, value + 1)
        ((visible, log_end, id, is_current),) = await execute(_POSITION_ON_POSTGRES)
        if log_end is None:
            raise DatabaseUnavailable("the database is a standby: only a primary can be watched")
        if not is_current:
            return None
        _, upper, running = visible.split(":")
        return FeedPosition(int(upper), frozenset(map(int, filter(None, running.split(",")))), id, log_end)

    async def all(self, execute: Execute) -> list[Incarnation]:
        """The known incarnations, oldest first."""
        rows = await execute("SELECT id, complete_until, next_transaction FROM incarnations ORDER BY number")
        return [Incarnation(*row) for row in rows]

    async def begin(self, execute: Execute, lost_after: str | None = None) -> None:
        """Begin an incarnation in this transaction, unless the running server has one. With `lost_after`, the
        id of the newest one, after which commits were lost: begin one that continues no other, unless another
        process did."""
        if not self._is_sqlite:
            await execute("LOCK TABLE incarnations IN EXCLUSIVE MODE")
        newest = await execute("SELECT number, id, place, run FROM incarnations ORDER BY number DESC LIMIT 1")
        number, id, last_place, last_run = newest[0] if newest else (0, None, None, None)
        running = self._process
        if not self._is_sqlite:
            ((running,),) = await execute(f"SELECT {_RUN}")
        if (last_run == running) if lost_after is None else (id != lost_after):
            return
        place, end = await self._end(execute, last_place)
        complete_until = end if lost_after is None else None
        next_transaction = None
        if not self._is_sqlite:
            ((next_transaction,),) = await execute(_NEXT_TRANSACTION)
        await execute(
            "INSERT INTO incarnations (number, id, place, run, complete_until, next_transaction)"
            f" VALUES ({', '.join(self._parameter(each) for each in range(1, 7))})",
            (number + 1, uuid4().hex, place, running, complete_until, next_transaction),
        )
        await execute(f"DELETE FROM incarnations WHERE number <= {self._parameter(1)}", (number + 1 - _KEPT,))
        if id is not None and not self._is_sqlite:
            logger.info("the database was started, promoted or restored", complete_until=complete_until)

    def _parameter(self, number: int) -> str:
        return f"?{number}" if self._is_sqlite else f"${number}"

    async def _end(self, execute: Execute, last_place: str | None) -> tuple[str, int | None]:
        """Which database this is, and up to which WAL position it contains everything of the newest
        incarnation, which was at `last_place`; None if unknown."""
        if self._is_sqlite:
            ((end,),) = await execute("SELECT value FROM transaction_counter")
            return "", end if last_place is not None else None
        ((may_read,),) = await execute(_MAY_READ_CONTROL)
        if not may_read:
            return "", None
        ((database, end, has_recovered, name),) = await execute(_END_ON_POSTGRES)
        timeline = int(name, 16)
        # A promotion begins a timeline. If it did not end the recovery of this start, the end of the previous
        # timeline is unknown.
        follows = {f"{database} {timeline}"} | ({f"{database} {timeline - 1}"} if has_recovered else set())
        if last_place not in follows or end is None:
            return f"{database} {timeline}", None
        return f"{database} {timeline}", end + _BLOCK_HEADER if end % _BLOCK == 0 else end
