"""The webhook: notifies an executor of an abort with one signed POST, and interprets the response."""

import asyncio
import hashlib
import hmac
from datetime import datetime
from typing import Any

import httpx2
import msgspec

import repo
from graph.outbound import AddressRefused, Outbound, Resolve, parse_address

SIGNATURE = "Rungraph-Signature"
"""`v1=` and the hexadecimal HMAC-SHA256 of timestamp, dot and body."""
TIMESTAMP = "Rungraph-Timestamp"
"""The time of signing, in seconds since 1970. Receivers should refuse requests older than a few minutes."""
KEY = "Idempotency-Key"
"""The same for each attempt of an abort."""

_STOPPED_STATUSES = {404, 410}
"""The status codes of an executor that does not have the work, or no longer has it."""


class NotificationFailed(Exception):
    """The executor was not reached or did not confirm; the message says why and has no secrets."""


def check_url(url: str, secret: str) -> None:
    """Raises ValueError for an invalid webhook URL, without repeating it. `secret` is the name of the
    setting for secrets."""
    parsed = parse_address(url)
    if parsed is None:
        # The reason may repeat a part of the URL, which may be a password.
        raise ValueError("it must be an address such as https://executor.example.com/aborts")
    if parsed.userinfo:
        raise ValueError(f"it must hold no password: {secret} signs what is sent")


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The value of SIGNATURE for this body."""
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


class Webhook:
    """Notifies one executor of aborts. Private networks are refused unless `allows_private`."""

    def __init__(
        self, url: str, secret: str, *, timeout: float, allows_private: bool, resolve: Resolve | None = None
    ) -> None:
        """`timeout` is the total time of a call in seconds."""
        self._url = httpx2.URL(url)
        self._secret = secret
        self._timeout = timeout
        self._outbound = Outbound(allows_private=allows_private, resolve=resolve)

    async def close(self) -> None:
        """Closes the connections."""
        await self._outbound.close()

    async def notify(self, action: repo.Action, at: datetime) -> None:
        """Returns when the executor confirms that the work has stopped or does not exist. Raises
        NotificationFailed. `at` is the database's time, since executors check the timestamp and this
        server's clock may be wrong."""
        body = msgspec.json.encode(_payload(action))
        timestamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            TIMESTAMP: timestamp,
            SIGNATURE: sign(self._secret, timestamp, body),
            KEY: f"abort-{action.key.hex()}",
        }
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._outbound.send("POST", self._url, headers, body)
                # The body is not needed and may be endless.
                await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            raise NotificationFailed(f"no answer within {self._timeout:g} s") from None
        except AddressRefused as refused:
            raise NotificationFailed(str(refused)) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            # The library's message may repeat the URL, which may contain a token.
            raise NotificationFailed(f"it cannot be reached: {type(error).__name__}") from None
        status = response.status_code
        if not (200 <= status < 300 or status in _STOPPED_STATUSES):
            raise NotificationFailed(f"it answered {status}")


def _payload(action: repo.Action) -> dict[str, Any]:
    abort = action.abort
    assert abort is not None
    by = abort.requested_by
    return {
        "action": {
            "project": action.project,
            "domain": action.domain,
            "runName": action.run_name,
            "name": action.name,
        },
        "isRun": action.parent_name is None,
        "reason": abort.reason,
        "requestedBy": by and {"kind": by.kind.name, "subject": by.subject, "name": by.name},
        "requestedAt": abort.requested_at.isoformat(),
        "attempt": abort.attempt_count,
    }
