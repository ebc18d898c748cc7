"""Artifacts of a step: values, and files, which the sender uploads."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

from .recorder import identifier, utc
from .spool import Record
from .steps import Step, clean, name_of

_INLINE = 700_000
"""Bytes of an artifact that is sent in the call; base64 makes a third more of them."""


def artifact_record(step: Step, name: str, value: object, kind: str, media_type: str | None) -> Record:
    """The record that stores the value. Raises OSError, ValueError."""
    head: dict[str, Any] = {
        "action": json.loads(identifier(step)),
        "attempt": step.attempt,
        "kind": kind,
        "name": name_of(name),
        "createdAt": json.loads(utc(time.time())),
    }
    if media_type is not None:
        head["mediaType"] = media_type
    if isinstance(value, os.PathLike):
        path = os.path.abspath(os.fspath(value))
        if os.path.getsize(path) > _INLINE:
            return "upload", json.dumps({**head, "path": path}).encode()
        with open(path, "rb") as file:
            value = file.read()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "artifact", json.dumps({**head, **_bytes(bytes(value))}).encode()
    if isinstance(value, str):
        content: dict[str, Any] = {"text": clean(value)}
    else:
        try:
            json.dumps(value, allow_nan=False)
            content = {"json": value}
        except (TypeError, ValueError, RecursionError):
            content = {"text": clean(repr(value))}
    body = json.dumps({**head, **content}).encode()
    if len(body) > 1_400_000:
        raise ValueError(f"the artifact {name} is too large: write it to a file, and pass its path")
    return "artifact", body


def _bytes(value: bytes) -> dict[str, str]:
    if len(value) > _INLINE:
        raise ValueError("the artifact is too large: write it to a file, and pass its path")
    return {"base64": base64.b64encode(value).decode()}
