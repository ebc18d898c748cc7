"""`ApiError`, the only error of the read API."""

from __future__ import annotations

from typing import Any

from ..settings import without_password

SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
BAD_RESPONSE = "BAD_RESPONSE"
_BY_STATUS = {
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    413: "PAYLOAD_TOO_LARGE",
    429: "RATE_LIMITED",
    502: SERVICE_UNAVAILABLE,
    503: SERVICE_UNAVAILABLE,
    504: SERVICE_UNAVAILABLE,
}
TRANSIENT = {SERVICE_UNAVAILABLE, "TIMEOUT", "RATE_LIMITED"}
"""Codes after which a call may be repeated."""


class ApiError(Exception):
    """The server refused a call (docs/errors.md has the codes), or is unreachable: SERVICE_UNAVAILABLE.
    A response that is none of a Rungraph server is BAD_RESPONSE."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message
        self.retry_after = retry_after
        """With RATE_LIMITED, how many seconds to wait."""

    def __reduce__(self) -> tuple[type[ApiError], tuple[str, str, float | None]]:
        return type(self), (self.code, self.message, self.retry_after)


def first_error(errors: list[dict[str, Any]]) -> ApiError:
    """The first error of a GraphQL response."""
    extensions = errors[0].get("extensions") or {}
    code = str(extensions.get("code") or "INTERNAL_SERVER_ERROR")
    message = str(errors[0].get("message"))
    if "id" in extensions:
        message += f" (id {extensions['id']})"
    return ApiError(code, message, _seconds(extensions.get("retryAfter")))


def unreachable(url: str, error: BaseException) -> ApiError:
    """The connection failed or was lost."""
    reason = str(error) or type(error).__name__
    return ApiError(SERVICE_UNAVAILABLE, f"{without_password(url)} is unreachable ({reason})")


def refused(url: str, status: int, headers: dict[str, str], body: bytes) -> ApiError:
    """The error of a response that has none in the form of GraphQL."""
    url = without_password(url)
    if 300 <= status < 400:
        place = without_password(headers.get("location", "elsewhere"))
        return ApiError(BAD_RESPONSE, f"{url} redirects to {place}: use the address of the API itself")
    code = _BY_STATUS.get(status, BAD_RESPONSE)
    if code == BAD_RESPONSE:
        return ApiError(code, f"{url} is no Rungraph server (HTTP {status})")
    text = body[:200].decode("utf-8", "replace").strip()
    return ApiError(code, f"HTTP {status} {text}".strip(), _seconds(headers.get("retry-after")))


def _seconds(value: object) -> float | None:
    try:
        return None if value is None else float(str(value))
    except ValueError:
        return None
