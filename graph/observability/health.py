"""Health endpoints: /livez (the process responds) and /readyz (it should receive traffic)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from repo import DatabaseReadOnly, Supervisor

logger = structlog.get_logger("rungraph.app")

PROBES = frozenset({"/livez", "/readyz"})
"""They reveal nothing, and are requested by addresses that cannot be known before."""

_DATABASE_TIMEOUT = 2.0
"""Seconds for the database to respond before the server is not ready."""


def health_routes(
    check_database: Callable[[], Coroutine[Any, Any, None]],
    supervisor: Supervisor,
    is_stopping: Callable[[], bool],
) -> list[Route]:
    """/livez responds with 200 as long as the process serves requests. /readyz responds with 200, or with 503
    while the server stops, a background loop has failed, or `check_database` raises."""

    async def livez(request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(request: Request) -> Response:
        if is_stopping():
            return _not_ready("the server is stopping")
        if failed := supervisor.failed:
            return _not_ready(f"background loops failed and are restarting: {', '.join(failed)}")
        try:
            await _with_timeout(check_database())
        except Exception as error:  # whatever it is, the server is not ready; the log has the reason
            cause = error.__cause__ or error
            logger.warning("not ready", reason=f"{type(cause).__name__}: {cause}".partition("\n")[0])
            if isinstance(error, DatabaseReadOnly):
                return _not_ready("the database accepts no writes")
            return _not_ready("the database does not respond or has another schema")
        return PlainTextResponse("ready\n")

    return [Route("/livez", livez), Route("/readyz", readyz)]


def _not_ready(reason: str) -> Response:
    return PlainTextResponse(f"not ready: {reason}\n", 503)


async def _with_timeout(check: Coroutine[Any, Any, None]) -> None:
    """The check, or a TimeoutError, without waiting until a dead connection is dropped."""
    checking = asyncio.create_task(check)
    checking.add_done_callback(lambda task: task.cancelled() or task.exception())
    done, _ = await asyncio.wait({checking}, timeout=_DATABASE_TIMEOUT)
    if not done:
        checking.cancel()
        raise TimeoutError(f"the database did not respond within {_DATABASE_TIMEOUT:g} s")
    checking.result()
