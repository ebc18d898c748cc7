"""Pruning takes logs and artifacts along, with an S3 server that deletes several objects in a request: that
of moto, in an environment of its own, since its dependencies exclude versions of ours."""

import subprocess
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from repo import ActionPhase, NewLogLine, RunIdentifier, open_repository
from repo.tables import log_chunks
from tests.repo.artifacts.test_artifacts import artifact
from tests.repo.artifacts.test_uploads import rows, send
from tests.support.making import action, at, new, update
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.soak

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}
_MOTO = "moto[server]==5.2.1"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    folder = tmp_path_factory.mktemp("moto")
    venv.create(folder, with_pip=True)
    python, port = folder / "bin" / "python", free_port()
    install = (python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", _MOTO)
    subprocess.run(install, check=True, timeout=600)
    server = subprocess.Popen(
        [python, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


async def test_pruning_takes_logs_and_artifacts_along(
    database_url: str, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = uuid4().hex

    def request(path: str = "", method: str = "GET") -> str:
        sent = urllib.request.Request(f"{moto}/{bucket}{path}", method=method)
        with urllib.request.urlopen(sent, timeout=20) as response:
            return str(response.read().decode())

    def is_made() -> bool:
        with suppress(urllib.error.URLError):
            request(method="PUT")
            return True
        return False

    await until(is_made)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.delenv("AWS_DISABLE_BULK_DELETE", raising=False)
    old = RunIdentifier("etl", "production", "old")
    async with open_repository(database_url, artifact_store=f"s3://{bucket}/a/prefix") as repository:
        await repository.actions.create([new(run=old, created_at=at(0)), new()])
        for number in range(3):
            await send(repository, artifact(f"large {number}", run=old))
        kept = await send(repository, artifact())
        await repository.logs.append(action(run=old), [NewLogLine("a line")] * 5_000)
        await repository.actions.update_phases([update("a0", ActionPhase.SUCCEEDED, run=old, end_time=at(1))])
        assert request("?list-type=2").count("<Key>") == 4
        assert [done async for done in repository.pruning.prune(timedelta(days=1))]
        listed = request("?list-type=2")
        assert (listed.count("<Key>"), kept.id.hex() in listed, await rows(repository)) == (1, True, 1)
        async with repository.database.read() as connection:
            assert await connection.scalar(select(func.count()).select_from(log_chunks)) == 0
