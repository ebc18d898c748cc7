"""Names and attributes of the cookies for sessions and for sign-in attempts."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

SESSION_COOKIE = "rungraph"
"""The session cookie over http. Over https it has the prefix `__Host-` or `__Secure-`."""
_ATTEMPT_COOKIE = "rungraph-sign-in-"


@dataclass(frozen=True, slots=True)
class Cookies:
    """How the server sets cookies. All are HttpOnly and SameSite Lax."""

    session: str
    """The name of the session cookie."""
    attempt_prefix: str
    """Each sign-in attempt has a cookie of its own, whose name begins with this."""
    path: str
    secure: bool
    """Whether every cookie is sent over https only."""

    def set(self, request: Request, response: Response, name: str, value: str, max_age: timedelta) -> None:
        """Set a cookie; for https only where the request came over https."""
        response.set_cookie(
            name,
            value,
            int(max_age.total_seconds()),
            path=self.path,
            secure=self.secure or request.url.scheme == "https",
            httponly=True,
            # Not Strict: the redirect from the OpenID provider is a cross-site navigation.
            samesite="lax",
        )

    def delete(self, request: Request, response: Response, name: str) -> None:
        """Have the browser delete a cookie."""
        self.set(request, response, name, "", timedelta(0))


def cookies_for(public_url: str, base_path: str) -> Cookies:
    """The cookies of a server at this URL. Below a path they are limited to it, since other applications may
    be beside it."""
    url = urlsplit(public_url)
    path = url.path or base_path or "/"
    if url.scheme != "https":
        return Cookies(SESSION_COOKIE, _ATTEMPT_COOKIE, path, secure=False)
    # A __Host- cookie has to have the path /.
    prefix = "__Host-" if path == "/" else "__Secure-"
    return Cookies(prefix + SESSION_COOKIE, f"__Secure-{_ATTEMPT_COOKIE}", path, secure=True)


def cookie_values(connection: HTTPConnection, name: str) -> list[str]:
    """The values of all cookies with this name, without empty ones."""
    headers = connection.headers.getlist("cookie")
    pairs = (pair.partition("=") for header in headers for pair in header.split(";"))
    return [stripped for key, _, value in pairs if key.strip() == name and (stripped := value.strip())]
