"""`rungraph demo` without a server: serves and plays the demo in one process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from rich.console import Console

import repo
from graph.app import create_server
from graph.settings import Settings
from ingest.demo.executor import play_demo

_TOKEN_LIFETIME = timedelta(days=30)


async def serve_with_demo(
    settings: Settings, listening: list[socket.socket], url: str, seed: int | None
) -> None:
    """Serves until a signal, or until the demo fails. Raises ApiError."""
    server = create_server(settings)
    async with _token(settings) as token:
        serving = asyncio.create_task(server.serve(listening))
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        # Silent once the server stops, which the demo would report as a lost connection.
        console = Console()
        server.on_stop = lambda: setattr(console, "quiet", True)
        playing = asyncio.create_task(play_demo(url, token=token, seed=seed, console=console))
        await asyncio.wait({serving, playing}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        playing.cancel()
        await asyncio.gather(serving, playing, return_exceptions=True)
        if playing.done() and not playing.cancelled():
            playing.result()


@asynccontextmanager
async def _token(settings: Settings) -> AsyncIterator[str | None]:
    """A token for the demo on a server with authentication; revoked at the end."""
    if settings.auth == "none":
        yield None
        return
    identity = repo.Identity(repo.IdentityKind.APPLICATION, "demo")
    access = repo.Access(frozenset({repo.Grant(repo.Role.WRITER, "demo")}), acts_for_others=True)
    async with repo.open_repository(settings.database_url, pool_size=1) as repository:
        created, secret = await repository.credentials.create(
            repo.CredentialKind.TOKEN, "demo", identity, access, datetime.now(UTC) + _TOKEN_LIFETIME
        )
        try:
            yield secret
        finally:
            await repository.credentials.revoke(created.id)
