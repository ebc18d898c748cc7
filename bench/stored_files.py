"""The floor of uploads and downloads: Starlette, which writes what it receives to a file and hashes it."""

import hashlib
import os
import tempfile
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from bench.processes import serve

_FILE = Path(tempfile.mkdtemp()) / "file"
_AT_ONCE = 1024 * 1024


async def receive(request: Request) -> Response:
    """Writes the body to the file."""
    digest, buffer = hashlib.sha256(), bytearray()
    with _FILE.open("wb", buffering=0) as file:
        async for part in request.stream():
            digest.update(part)
            buffer += part
            if len(buffer) >= _AT_ONCE:
                await run_in_threadpool(file.write, bytes(buffer))
                buffer.clear()
        await run_in_threadpool(file.write, bytes(buffer))
        await run_in_threadpool(os.fsync, file.fileno())
    return PlainTextResponse(digest.hexdigest())


async def send(request: Request) -> Response:
    """The file."""
    return FileResponse(_FILE)


async def ready(request: Request) -> Response:
    """Answers 200 when ready."""
    return PlainTextResponse("ready\n")


if __name__ == "__main__":
    routes = [
        Route("/file", receive, methods=["PUT"]),
        Route("/file", send),
        Route("/readyz", ready),
    ]
    serve(Starlette(routes=routes))
