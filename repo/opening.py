"""Opens the repository: the database, the watch hub and the bus behind one ActionRepo."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from repo.repository import ActionRepo, Backend
from repo.sql.database import Database
from repo.supervision import Supervisor
from repo.watch.bus import Bus
from repo.watch.hub import Hub


@asynccontextmanager
async def open_repository(
    url: str,
    pool_size: int = 10,
    broadcast_url: str = "memory://",
    on_commit: Callable[[], None] = lambda: None,
    statement_timeout: float = 0,
    connection_timeout: float = 10,
    supervisor: Supervisor | None = None,
) -> AsyncIterator[ActionRepo]:
    """The repository over a database that `migrate` has brought to this version's schema.

    Over `broadcast_url` replicas notify each other of writes. `on_commit` is called after every committed
    write. A statement that takes longer than `statement_timeout` seconds is cancelled, and its call raises
    DeadlineExceeded; 0 means no limit. A call waits at most `connection_timeout` seconds for a connection.
    `supervisor` runs the background loops. Raises InvalidArgument for a URL that is not supported.
    """

    def committed() -> None:
        hub.notify()
        bus.notify()
        on_commit()

    database = Database(url, pool_size, committed, statement_timeout, connection_timeout)
    hub = Hub(database, supervisor)
    bus = Bus(broadcast_url, hub.notify, supervisor)
    try:
        async with bus.open():
            yield ActionRepo(Backend(database, hub, bus))
    finally:
        await hub.close()
        await database.close()
