"""Owns the cookies of whoever signed in with a browser: their names, and where they are sent."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from graph.auth.authentication import COOKIE, SECURE_COOKIE
from graph.settings import Settings

PENDING = "rungraph-sign-in-"
"""What the cookies begin with of those who are at the provider; each attempt to sign in has its own."""


@dataclass(frozen=True, slots=True)
class Cookies:
    """How cookies are set: never for scripts, and never with what other sites send."""

    session: str
    """The name of the one that says who somebody is."""
    pending: str
    """What the names of those begin with that an attempt to sign in has."""
    path: str
    """Below which path they are sent."""
    secure: bool
    """Whether they are sent over https only."""

    def set(self, request: Request, response: Response, name: str, value: str, lasts: timedelta) -> None:
        """The browser sends it from now on, for so long; where it came by https, then over nothing else."""
        response.set_cookie(
            name,
            value,
            int(lasts.total_seconds()),
            path=self.path,
            secure=self.secure or request.url.scheme == "https",
            httponly=True,
            # Not "strict": the way back from the provider begins at another site.
            samesite="lax",
        )

    def remove(self, request: Request, response: Response, name: str) -> None:
        """The browser sends it no more."""
        self.set(request, response, name, "", timedelta(0))


def cookies_of(settings: Settings) -> Cookies:
    """How the cookies of a server are set. Below a path they are of that path only: what lies beside it may
    be others'."""
    public = urlsplit(settings.public_url)
    path = public.path or settings.base_path or "/"
    if public.scheme != "https":
        return Cookies(COOKIE, PENDING, path, secure=False)
    # __Host- has to be of the whole host.
    session = SECURE_COOKIE if path == "/" else f"__Secure-{COOKIE}"
    return Cookies(session, f"__Secure-{PENDING}", path, secure=True)
