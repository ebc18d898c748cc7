"""Sends records to the server: reports and logs in batches, all else one by one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from . import documents
from .connection import Connection, Refused
from .spool import Record

_BATCHES = {"report": 1000, "log": 8}
_PENDING = {"REQUESTED", "RETRYING", "FAILED"}
_MAX_BYTES = 2_000_000
"""Of a request, unless one record has more."""


def _batches(bodies: list[bytes], count: int) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        if batch and (len(batch) == count or size + len(body) > _MAX_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    yield batch


class Delivery:
    """Delivers records. What the server refuses is logged and dropped; Unavailable is raised."""

    def __init__(
        self, connection: Connection, warn: Callable[[str], None], pause: Callable[[], None]
    ) -> None:
        self.connection = connection
        self._warn, self._pause = warn, pause
        self.saw_abort = False
        """Whether a report was answered with an abort that is not confirmed."""

    def deliver(self, records: list[Record]) -> None:
        for kind, group in groupby(records, key=lambda each: each[0]):
            bodies = [body for _, body in group]
            for batch in _batches(bodies, _BATCHES.get(kind, 1)):
                self._attempt(kind, batch)
                self.connection.internal_errors = 0
                self._pause()

    def _attempt(self, kind: str, bodies: list[bytes]) -> None:
        """Delivers records of a kind; of refused ones those that are at fault are found by halving."""
        try:
            self._send(kind, bodies)
        except (Refused, ValueError, KeyError, TypeError) as error:
            if len(bodies) == 1:
                self._warn(f"a {kind} was refused: {error}")
                return
            middle = len(bodies) // 2
            self._attempt(kind, bodies[:middle])
            self._attempt(kind, bodies[middle:])

    def _send(self, kind: str, bodies: list[bytes]) -> None:
        if kind == "report":
            self._report(bodies)
        elif kind == "log":
            names = [b'"a%d":%s' % pair for pair in enumerate(bodies)]
            self.connection.graphql(documents.append_logs(len(bodies)), b"{%s}" % b",".join(names))
        elif kind == "confirm":
            self.connection.graphql(documents.CONFIRM, b'{"id":%s}' % bodies[0])
        elif kind == "artifact":
            self.connection.graphql(documents.STORE_ARTIFACT, b'{"input":%s}' % bodies[0])
        elif kind == "upload":
            self._upload(json.loads(bodies[0]))

    def _report(self, bodies: list[bytes]) -> None:
        data = self.connection.graphql(documents.REPORT, b'{"reports":[%s]}' % b",".join(bodies))
        for result in data["report"]["results"]:
            if (error := result["error"]) is not None:
                self._warn(f"a report was refused: {error['code']}: {error['message']}")
            if (abort := result["abort"]) is not None and abort["state"] in _PENDING:
                self.saw_abort = True

    def _upload(self, upload: dict[str, Any]) -> None:
        import hashlib
        import os

        path = upload.pop("path")
        digest = hashlib.sha256()
        try:
            size = os.path.getsize(path)
            for chunk in self._chunks(path):
                digest.update(chunk)
            upload.update(size=size, digest=f"sha256:{digest.hexdigest()}")
            variables = json.dumps({"input": upload}).encode()
            data = self.connection.graphql(documents.UPLOAD_ARTIFACT, variables)["createArtifactUpload"]
            headers = {each["name"]: each["value"] for each in data["headers"]}
            self.connection.put(data["url"], self._chunks(path), size, headers)
        except OSError as error:
            raise Refused(f"cannot read {path} ({error})") from None

    def _chunks(self, path: str) -> Iterator[bytes]:
        with open(path, "rb") as file:
            while chunk := file.read(256 * 1024):
                yield chunk
                self._pause()
