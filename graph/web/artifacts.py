"""Uploads and downloads of artifacts, by signed addresses."""

import base64
import re
from collections.abc import Callable
from urllib.parse import quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

import repo
from graph.auth.artifact_urls import file_name
from graph.errors import RequestRefused
from graph.limits.clients import ClientLimits
from graph.state import state_of

_INLINE = frozenset(
    "image/png image/jpeg image/gif image/webp image/avif image/bmp text/plain text/csv text/markdown "
    "text/tab-separated-values application/json application/xml text/xml application/yaml".split()
)
"""What browsers display; everything else is saved as a file."""
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_SVG = "image/svg+xml"

# Of all of these the origin is opaque: no cookies, no storage, and nothing of the web UI.
_INERT = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"
_REPORT = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "style-src 'unsafe-inline' data:; "
    "img-src data: blob:; font-src data:; media-src data: blob:; connect-src data: blob:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
"""A page may run its scripts, but load and send nothing."""
_HEADERS = {
    "X-Frame-Options": "SAMEORIGIN",
    # By the HTML standard, a sandboxed document with another one is not shown as a page of its own.
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Accept-Ranges": "bytes",
}
_MAX_AGE = 3600
MAX_UPLOADS = 16
"""Uploads that a process receives at a time; each may hold some MiB in memory."""
LONG_BODY = "rungraph.long_body"
"""The ASGI extension that lets the body of a request take long, as long as it arrives."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class ArtifactEndpoint:
    """The ASGI application below /artifacts."""

    def __init__(self, client_limits: ClientLimits) -> None:
        self._client_limits = client_limits

    def routes(self) -> list[BaseRoute]:
        """The routes of uploads and downloads."""
        return [
            Route("/artifacts/uploads/{token}", self._serving("PUT", self._upload)),
            Route("/artifacts/{token}/{name}", self._serving("GET, HEAD", _download)),
        ]

    async def _upload(self, request: Request) -> Response:
        """PUT: the bytes of an artifact."""
        state = state_of(request)
        upload = await state.artifact_urls.announced(request.path_params["token"])
        _check_headers(request, upload)
        if state.repository.artifacts.objects.counts.uploading >= MAX_UPLOADS:
            text = f"The server receives {MAX_UPLOADS} uploads already; try again."
            raise RequestRefused(503, "SERVICE_UNAVAILABLE", text, retry_after="5")
        if (allow_long_body := request.scope.get("extensions", {}).get(LONG_BODY)) is not None:
            allow_long_body()
        stored = await state.repository.artifacts.receive(upload, request.stream())
        headers = {"Cache-Control": "no-store", "Content-Security-Policy": _INERT}
        body = msgspec.json.encode({"digest": stored.digest, "size": stored.size})
        return Response(body, 200, headers, "application/json")

    def _serving(self, methods: str, handle: Callable[..., object]) -> "_Handler":
        return _Handler(self._client_limits, methods, handle)


class _Handler:
    """An ASGI application that responds to refusals in the form of GraphQL errors."""

    def __init__(self, client_limits: ClientLimits, methods: str, handle: Callable[..., object]) -> None:
        self._client_limits = client_limits
        self._methods = methods
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with self._client_limits.connection() as connection:
            try:
                connection.comes_from(request)
                if request.method not in self._methods.split(", "):
                    text = f"Send {self._methods} requests to this address."
                    raise RequestRefused(405, "METHOD_NOT_ALLOWED", text, allow=self._methods)
                response = await self._handle(request)  # type: ignore[misc]
            except RequestRefused as refusal:
                response = _refused(refusal)
            except ClientDisconnect:
                return
            except repo.RepoError as error:
                response = _refused(RequestRefused(_STATUS.get(error.code, 500), error.code, str(error)))
            await response(scope, receive, send)


_STATUS = {
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "DIGEST_MISMATCH": 422,
    "QUOTA_EXCEEDED": 403,
    "TIMEOUT": 503,
    "SERVICE_UNAVAILABLE": 503,
}


def _refused(refusal: RequestRefused) -> Response:
    body = msgspec.json.encode({"errors": [{"message": str(refusal), "extensions": refusal.extensions}]})
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": _INERT, **refusal.headers}
    return Response(body, refusal.status, headers, "application/json")


def _check_headers(request: Request, upload: repo.Upload) -> None:
    """Raise RequestRefused, before the body is read, if it cannot be as announced."""
    headers = request.headers
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise RequestRefused(415, "UNSUPPORTED_MEDIA_TYPE", "The bytes must not be compressed for the way.")
    length = headers.get("content-length")
    if length is not None and length != str(upload.size):
        is_larger = length.isdecimal() and int(length[:20]) > upload.size
        text = f"The body has {length} bytes, but the address was requested for {upload.size}."
        status, code = (413, "PAYLOAD_TOO_LARGE") if is_larger else (422, "DIGEST_MISMATCH")
        raise RequestRefused(status, code, text)
    digest = headers.get("content-md5")
    if digest is not None and upload.algorithm == "md5":
        if digest.strip() != base64.b64encode(upload.digest).decode():
            text = "Content-MD5 is not the digest with which the address was requested."
            raise RequestRefused(422, "DIGEST_MISMATCH", text)


async def _download(request: Request) -> Response:
    """GET: the bytes of an artifact, or a range of them."""
    state = state_of(request)
    id = await state.artifact_urls.artifact_id(request.path_params["token"])
    artifact = await state.repository.artifacts.find(id)
    if artifact is None:
        text = "The artifact was removed with its run, or replaced by another one of its name."
        raise RequestRefused(404, "NOT_FOUND", text)
    headers = _headers(artifact, "download" in request.query_params)
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    start, end, status = 0, artifact.size, 200
    is_same = request.headers.get("if-range", headers["ETag"]) == headers["ETag"]
    if is_same and (found := _range(request.headers.get("range", ""), artifact.size)) is not None:
        start, end = found
        if start >= end:
            text = f"The artifact has {artifact.size} bytes; the range is outside of them."
            raise RequestRefused(416, "BAD_REQUEST", text, Content_Range=f"bytes */{artifact.size}")
        status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{artifact.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(None, status, headers)
    body = await state.repository.artifacts.open(artifact, start, end)
    return StreamingResponse(body, status, headers)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The start and the end of the range, which is empty if it is outside; None if the whole is requested,
    or several ranges are."""
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    return int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)


def _headers(artifact: repo.Artifact, as_file: bool) -> dict[str, str]:
    essence = artifact.media_type.partition(";")[0].strip().lower()
    is_page = essence in _HTML
    is_shown = not as_file and (is_page or essence == _SVG or essence in _INLINE)
    media_type = artifact.media_type
    if essence.startswith("text/") and "charset" not in media_type.lower():
        media_type += "; charset=utf-8"
    name = quote(file_name(artifact.name))
    return {
        **_HEADERS,
        "Content-Type": media_type,
        "Content-Disposition": f"{'inline' if is_shown else 'attachment'}; filename*=UTF-8''{name}",
        "Content-Security-Policy": _REPORT if is_page else _INERT,
        "ETag": f'"{artifact.sha256.hex()}"',
        "Cache-Control": f"private, max-age={_MAX_AGE}, immutable",
    }
