"""A real S3 server, which keeps its objects as files."""

import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

BUCKET = "artifacts"
_SECONDS = 60

# The server lives until this shell's input is closed, so that none is left when the tests are killed.
_KEEPER = '"$@" & server=$!; read -r _; kill -KILL $server; wait $server'


@dataclass(frozen=True)
class S3Server:
    """A running server with a bucket."""

    endpoint: str
    folder: Path
    url: str = f"s3://{BUCKET}/some/prefix"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
            # The server cannot delete several objects in a request.
            "AWS_DISABLE_BULK_DELETE": "true",
        }

    def objects(self) -> list[str]:
        """The names of the objects in the bucket, without their folders."""
        return sorted(each.name for each in (self.folder / BUCKET).rglob("*") if each.is_file())

    def unfinished(self) -> list[str]:
        """The files of uploads that were neither completed nor aborted."""
        uploads = self.folder / ".localbucket-uploads"
        return [each.name for each in uploads.rglob("*") if each.is_file()]

    def clear(self) -> None:
        """Deletes all objects and uploads."""
        for each in self.folder.rglob("*"):
            if each.is_file():
                each.unlink()

    def create_bucket(self) -> bool:
        """Creates the bucket; False if the server does not respond yet."""
        try:
            request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.URLError:
            return False
        return True


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server for as long as the context."""
    folder = Path(tempfile.mkdtemp(prefix="s3-"))
    port = free_port()
    keeper = subprocess.Popen(
        ["/bin/sh", "-c", _KEEPER, "s3-keeper", sys.executable, "-m", "localbucket"]
        + ["--port", str(port), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    server, deadline = S3Server(f"http://127.0.0.1:{port}", folder), time.monotonic() + _SECONDS
    try:
        while not server.create_bucket():
            assert keeper.poll() is None, "the S3 server ended at its start"
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.02)
        yield server
    finally:
        keeper.communicate(timeout=_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
