"""Where the clients send their requests, and what they check of responses."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import urljoin

from ..settings import Settings, api_url, is_http, not_an_address
from .errors import ApiError, unreachable
from .protocol import Request, data_of, graphql_request
from .types import Artifact


class Head(Protocol):
    """The head of a response."""

    status: int
    headers: dict[str, str]


class Endpoint:
    """The address, the token, and the project and domain of a client."""

    def __init__(self, url: str | None, token: str | None, project: str | None, domain: str | None) -> None:
        """What is None is a setting. Raises ValueError if the address is none of HTTP."""
        self._settings = Settings()
        self._token = token
        self.url = self._settings.url if url is None else api_url(url)
        if not is_http(self.url):
            raise ValueError(not_an_address(self.url))
        self.project = project or self._settings.project
        self.domain = domain or self._settings.domain

    def request(self, document: str, variables: dict[str, Any], accept: str = "application/json") -> Request:
        """The request of an operation. Raises ValueError if the token cannot be sent."""
        token = self._settings.token if self._token is None else self._token
        return graphql_request(self.url, token, document, variables, accept)


def event_stream_error(url: str, response: Head, body: bytes) -> ApiError:
    """The error of a response to a subscription that is no event stream."""
    try:
        data_of(url, response.status, response.headers, body)
    except ApiError as error:
        return error
    return ApiError("BAD_RESPONSE", f"{url} did not respond with an event stream")


class Download:
    """The download of an artifact by its signed address, to which no token is sent."""

    def __init__(self, endpoint: Endpoint, artifact: Artifact) -> None:
        import hashlib

        self.request = Request("GET", urljoin(endpoint.url, artifact.url), {"Accept": "*/*"})
        self._artifact = artifact
        self._digest = hashlib.sha256()

    def error(self, response: Head, body: bytes) -> ApiError:
        """The error of a response with another status than 200."""
        return event_stream_error(self.request.url, response, body)

    def checked(self, part: bytes | None) -> bytes:
        """A part of the bytes, which is empty at the end. Raises ApiError."""
        if part is None:
            raise unreachable(self.request.url, TimeoutError("the download has stopped"))
        self._digest.update(part)
        if not part and f"sha256:{self._digest.hexdigest()}" != self._artifact.digest:
            raise ApiError("DIGEST_MISMATCH", f"{self._artifact.name} has other bytes than were stored")
        return part
