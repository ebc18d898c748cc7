"""Host and origin checks of single requests."""

import pytest
from starlette.requests import HTTPConnection

from graph.auth.origins import is_cross_origin
from graph.web.security import AllowedHosts

EVIL = "https://evil.example.com"


def connection(method: str = "POST", **headers: str) -> HTTPConnection:
    """A request with these headers."""
    named = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    pairs = [(name.encode(), value.encode()) for name, value in named.items()]
    return HTTPConnection({"type": "http", "method": method, "path": "/graphql", "headers": pairs})


@pytest.mark.parametrize(
    ("headers", "is_one"),
    [
        ({}, False),
        ({"sec_fetch_site": "none"}, False),
        ({"sec_fetch_site": "none", "origin": EVIL}, False),
        ({"sec_fetch_site": "same-origin"}, False),
        ({"sec_fetch_site": "same-site"}, True),
        ({"sec_fetch_site": "cross-site"}, True),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://localhost:1"}, True),
        ({"origin": EVIL}, True),
        ({"origin": "null"}, True),
    ],
)
def test_cross_origin_requests_are_recognized(headers: dict[str, str], is_one: bool) -> None:
    assert is_cross_origin(connection(**headers)) is is_one


@pytest.mark.parametrize(
    ("hosts", "answers"),
    [
        ([b"localhost"], True),
        ([b"LOCALHOST.:80"], True),
        ([b"evil.example.com"], False),
        ([b"localhost", b"evil.example.com"], False),
        ([b"evil.example.com", b"localhost"], False),
        ([b""], False),
        ([], False),
    ],
)
def test_every_host_header_has_to_be_allowed(hosts: list[bytes], answers: bool) -> None:
    scope = {"headers": [(b"host", host) for host in hosts]}
    assert AllowedHosts(["localhost"]).allow(scope) is answers
