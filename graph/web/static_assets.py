"""Owns how pages that a build made are served: a document with its policy, and the files beside it."""

import mimetypes
import secrets
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONFIRMED = "no-cache"
"""How long a browser keeps what may change: it asks each time whether its copy is current, by ETag."""

FOR_EVER = "public, max-age=31536000, immutable"
"""How long it keeps a file whose name changes with what is in it."""

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    # GraphiQL's dialogs and the page's components write style elements of their own, and show this.
    "style-src": "'self' 'nonce-{}'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    # Of the same host, this means websockets too.
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_NO_NONCE = b'nonce=""'
_NOT_BUILT = """\
{name} was not built on this server, so there is no page to show; the API itself works.

To build it, run `make install` in Rungraph's folder, or

    cd {source} && npm ci && npm run build

and load this page again.
"""

# The system's list of types may lack these or say something else, and a browser runs no script then.
for _ending, _type in ((".js", "text/javascript"), (".css", "text/css"), (".woff2", "font/woff2")):
    mimetypes.add_type(_type, _ending)


def document(html: bytes, policy: Mapping[str, str] | None = None) -> Response:
    """The document, which may load nothing from elsewhere, and has no style but its files' and those that
    show the nonce it gets here: another one each time, so that it has no ETag.

    `policy` holds what differs from the Content-Security-Policy that all pages have.
    """
    nonce = secrets.token_urlsafe(16)
    text = "; ".join(f"{name} {value}" for name, value in {**_POLICY, **(policy or {})}.items())
    return HTMLResponse(
        html.replace(_NO_NONCE, f'nonce="{nonce}"'.encode(), 1),
        headers={"Cache-Control": CONFIRMED, "Content-Security-Policy": text.format(nonce)},
    )


def not_built(name: str, source: str) -> Response:
    """What is said in place of a page that nobody built, with the folder that it is built in."""
    text = _NOT_BUILT.format(name=name, source=source)
    return PlainTextResponse(text, 503, headers={"Cache-Control": "no-store"})


class Files(StaticFiles):
    """A page's files, packed where the build packed them and the browser can unpack them."""

    def __init__(self, folder: Path, cache_control: str = CONFIRMED) -> None:
        super().__init__(directory=folder, check_dir=False)
        # A folder that was not built has no files, and that is all.
        self.config_checked = True
        self._cache_control = cache_control

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await self._find(path, scope)
        except HTTPException as error:
            # What is not here now may be so after the next update, or on the next replica.
            raise HTTPException(
                error.status_code, headers={**(error.headers or {}), "Cache-Control": "no-store"}
            ) from None
        response.headers["Cache-Control"] = self._cache_control
        response.headers["Vary"] = "Accept-Encoding"
        return response

    async def _find(self, path: str, scope: Scope) -> Response:
        if path.endswith(".html"):
            # A document comes with its policy, or not at all.
            raise HTTPException(404)
        packed = f"{path}.gz"
        unpacks = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        if unpacks and self.lookup_path(packed)[1] is not None:
            response = await super().get_response(packed, scope)
            response.headers["Content-Encoding"] = "gzip"
            return response
        return await super().get_response(path, scope)
