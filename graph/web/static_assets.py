"""Serves what a frontend build made: HTML documents with a Content-Security-Policy, and files beside them."""

import base64
import hashlib
import mimetypes
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

REVALIDATE = "no-cache"
"""Cache-Control of what may change: browsers ask each time whether their copy is current."""

IMMUTABLE = "public, max-age=31536000, immutable"
"""Cache-Control of files with a hash of their content in their name."""

_POLICY = {
    "default-src": "'none'",
    # The web UI's document has a script of its own, known by its hash.
    "script-src": "'self'{scripts}",
    # GraphiQL's dialogs and the web UI's components insert style elements, which carry this nonce.
    "style-src": "'self' 'nonce-{nonce}'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    # Includes websockets to the same host.
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_BASE = '<base href="{}" />'
_EMPTY_NONCE = b'nonce=""'
_INLINE_SCRIPT = re.compile(b"<script>(.*?)</script>", re.DOTALL)
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""The suffixes of compressed files, the smallest first."""
_NOT_BUILT = """\
{name} was not built on this server, so there is no page to show; the API itself works.

To build it, run `make install` in Rungraph's folder, or

    cd {source} && npm ci && npm run build

and load this page again.
"""

# The types that the system knows may lack these, or differ, and browsers would not run scripts then.
for _suffix, _type in ((".js", "text/javascript"), (".css", "text/css"), (".woff2", "font/woff2")):
    mimetypes.add_type(_type, _suffix)


def document(
    folder: Path, name: str, source: str, *, base: str = "./", policy: Mapping[str, str] | None = None
) -> Response:
    """The HTML document in `folder`, or a 503 response that says how to build it from `source`.

    It may load nothing from other hosts. Inline styles need a nonce, which is new each time, so there is no
    ETag; of inline scripts only those of the build are executed. `base` replaces the one in the document, and
    `policy` parts of the Content-Security-Policy.
    """
    try:
        html = (folder / "index.html").read_bytes()
    except FileNotFoundError:
        text = _NOT_BUILT.format(name=name, source=source)
        return PlainTextResponse(text, 503, headers={"Cache-Control": "no-store"})
    nonce = secrets.token_urlsafe(16)
    html = html.replace(_BASE.format("./").encode(), _BASE.format(base).encode(), 1)
    directives = "; ".join(f"{name} {value}" for name, value in {**_POLICY, **(policy or {})}.items())
    return HTMLResponse(
        html.replace(_EMPTY_NONCE, f'nonce="{nonce}"'.encode()),
        headers={
            "Cache-Control": REVALIDATE,
            "Content-Security-Policy": directives.format(nonce=nonce, scripts=_hashes(html)),
        },
    )


def _hashes(html: bytes) -> str:
    """The sources of a policy that allow the inline scripts of a document, each after a blank."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(html))
    return "".join(f" 'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


class StaticAssets(StaticFiles):
    """The files of a build, compressed if the build did so and the browser accepts it."""

    def __init__(self, folder: Path, cache_control: str = REVALIDATE) -> None:
        super().__init__(directory=folder, check_dir=False)
        # Without a build there are no files, which is not an error.
        self.config_checked = True
        self._cache_control = cache_control

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await self._find(path, scope)
        except HTTPException as error:
            # The file may exist after the next update, or on the next replica.
            raise HTTPException(
                error.status_code, headers={**(error.headers or {}), "Cache-Control": "no-store"}
            ) from None
        response.headers["Cache-Control"] = self._cache_control
        response.headers["Vary"] = "Accept-Encoding"
        return response

    async def _find(self, path: str, scope: Scope) -> Response:
        if path.endswith(".html"):
            # Documents are only served with their policy, by `document`.
            raise HTTPException(404)
        accepted = Headers(scope=scope).get("accept-encoding", "")
        for encoding, suffix in _ENCODINGS.items():
            if encoding in accepted and self.lookup_path(f"{path}{suffix}")[1] is not None:
                response = await super().get_response(f"{path}{suffix}", scope)
                response.headers["Content-Encoding"] = encoding
                return response
        return await super().get_response(path, scope)
