"""A server that is killed during an upload."""

import asyncio
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from repo import open_repository
from repo.tables import artifact_objects
from tests.graph.artifacts.test_uploads import ACTION, ANNOUNCE, CREATE, LARGE, READ, connection, files
from tests.support.server_process import ServerProcess, server_process


async def announced(server: ServerProcess) -> str:
    digest = f"sha256:{hashlib.sha256(LARGE).hexdigest()}"
    input: dict[str, Any] = {"action": ACTION, "kind": "FILE", "name": "x", "size": len(LARGE)}
    body = (await server.ask(ANNOUNCE, {"input": input | {"digest": digest}})).json()
    url: str = body["data"]["createArtifactUpload"]["url"]
    return url


async def test_a_killed_upload_is_no_artifact_and_its_bytes_are_deleted_later(
    database_url: str, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    environment = {
        "RUNGRAPH_DATABASE_URL": database_url,
        "RUNGRAPH_ARTIFACT_STORE": f"file://{store}",
    }
    async with server_process(environment) as server:
        assert (await server.ask(CREATE, {"id": ACTION})).json()["data"]
        url = await announced(server)
        async with connection(server.address) as (_, writer):
            head = f"PUT /{url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            writer.write(head.encode() + LARGE[:-1])
            async with asyncio.timeout(20):
                while not files(store):  # noqa: ASYNC110 - the server is another process
                    await asyncio.sleep(0.01)
            server.process.kill()
            await server.exit_code()
    assert len(files(store)) == 1
    async with server_process(environment) as server:
        body = (await server.ask(READ, {"id": ACTION})).json()
        assert body["data"]["action"]["artifacts"] == []
    async with open_repository(database_url, artifact_store=f"file://{store}") as repository:
        await repository.artifacts.objects.clean_up()
        assert len(files(store)) == 1, "not before the time of the upload is over"
        o = artifact_objects.c
        async with repository.database.engine.begin() as database:
            until = (await database.execute(select(o.delete_after))).scalar_one()
            past = until - timedelta(hours=3)
            await database.execute(artifact_objects.update().values(delete_after=past))
        await repository.artifacts.objects.clean_up()
        assert files(store) == []
    async with server_process(environment) as server:
        url = await announced(server)
        async with connection(server.address) as (reader, writer):
            head = f"PUT /{url} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(LARGE)}\r\n\r\n"
            writer.write(head.encode() + LARGE)
            assert b"200" in await reader.readline()
