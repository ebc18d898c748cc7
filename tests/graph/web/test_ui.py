"""Serving the web UI: its paths, files and headers, also behind prefixes."""

import base64
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import create_app
from graph.settings import Settings
from graph.web import ui
from repo import migrate
from tests import ROOT
from tests.support.serving import serving
from tests.support.sockets import connected

HTML = """\
<!doctype html>
<html>
  <head>
    <base href="./" />
    <meta name="csp-nonce" nonce="" />
    <script>document.title = "Early";</script>
    <style nonce="">html { background: white }</style>
    <script type="module" src="./assets/index-abc123.js"></script>
  </head>
</html>
"""
SCRIPT_HASH = base64.b64encode(hashlib.sha256(b'document.title = "Early";').digest()).decode()
SCRIPT = b"console.log('the page');\n" * 100
FILES = {
    "index.html": HTML.encode(),
    ".ready": b"",
    "color-scheme.js": b"document.title = 'Rungraph';\n",
    "favicon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "assets/index-abc123.js": SCRIPT,
    "assets/index-abc123.js.gz": gzip.compress(SCRIPT),
    "assets/index-abc123.css": b"body { color: red }",
    "assets/font-abc123.woff2": b"wOF2",
}
PREFIX = "/team/rungraph"
PATHS = ["/", "/runs", "/runs/", "/runs/a/b/c", "/runs/a/b/c%2Fd%2Fe", "/tasks", "/aborts", "/aborts/"]
PATHS += ["/tasks/a/b", "/tasks/a/b/c", "/compare"]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A build to serve in place of the real one."""
    for name, content in FILES.items():
        file = tmp_path / "page" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    monkeypatch.setattr(ui, "WEB_UI", tmp_path / "page")
    return tmp_path / "page"


def client_of(app: ASGIApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost")


@pytest.fixture
async def browser(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_of(create_app(Settings())) as client:
        yield client


@pytest.fixture
async def below(folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser of a server with a base path."""
    async with client_of(create_app(Settings(base_path=PREFIX))) as client:
        yield client


def base_in(response: httpx2.Response) -> str:
    """The base URL of the page."""
    assert response.status_code == 200
    found = re.search(r'<base href="([^"]*)" />', response.text)
    assert found
    return str(urljoin(str(response.url), found[1]))


def mounted(app: ASGIApp) -> ASGIApp:
    return Starlette(routes=[Mount(PREFIX, app)])


def stripped(app: ASGIApp) -> ASGIApp:
    """The application behind a proxy that strips the prefix."""

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        path, raw_path = scope["path"].removeprefix(PREFIX), scope["raw_path"].removeprefix(PREFIX.encode())
        await app({**scope, "path": path, "raw_path": raw_path}, receive, send)

    return proxy


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/", "./"),
        ("/runs", "./"),
        ("/runs/", "../"),
        ("/runs/a/b/c", "../../../"),
        ("/runs/a/b/c?tab=events/errors", "../../../"),
        ("/runs/a/b/c%2Fd%2fe", "../../../"),
        ("/runs/a/b/%C3%BC%20x", "../../../"),
        ("/tasks", "./"),
        ("/tasks/", "../"),
        ("/tasks/a/b", "../../"),
        ("/tasks/a/b/c%2Fd", "../../../"),
        ("/aborts", "./"),
    ],
)
async def test_the_document_has_a_relative_base(browser: httpx2.AsyncClient, path: str, base: str) -> None:
    response = await browser.get(path)
    assert without_nonce(response.text) == HTML.replace("./", base, 1)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert base_in(response) == "http://localhost/"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("proxy", [mounted, stripped])
async def test_the_web_ui_works_behind_an_unknown_prefix(
    folder: Path, proxy: Callable[[ASGIApp], ASGIApp], path: str
) -> None:
    async with client_of(proxy(create_app(Settings()))) as client:
        response = await client.get(PREFIX + path)
        assert base_in(response) == f"http://localhost{PREFIX}/"
        for file in ("assets/index-abc123.js", "favicon.svg", "graphiql/main.js"):
            assert (await client.get(urljoin(base_in(response), file))).status_code == 200, file


@pytest.mark.parametrize("path", PATHS)
async def test_the_web_ui_works_below_a_base_path(below: httpx2.AsyncClient, path: str) -> None:
    response = await below.get(PREFIX + path)
    assert base_in(response) == f"http://localhost{PREFIX}/"
    for file in ("assets/index-abc123.js", "color-scheme.js", "graphiql/main.js"):
        assert (await below.get(urljoin(base_in(response), file))).status_code == 200, file
        assert (await below.get(f"/{file}")).status_code == 404, file
    assert path == "/" or (await below.get(path)).status_code == 404


@pytest.mark.parametrize(("path", "to"), [("/", "team/rungraph/"), (PREFIX, "rungraph/")])
async def test_the_root_redirects_to_the_base_path(below: httpx2.AsyncClient, path: str, to: str) -> None:
    response = await below.get(path)
    assert (response.status_code, response.headers["location"]) == (307, to)
    response = await below.get(f"{path}?project=demo", follow_redirects=True)
    assert str(response.url) == f"http://localhost{PREFIX}/?project=demo"
    assert base_in(response) == f"http://localhost{PREFIX}/"


async def test_probes_and_metrics_are_not_below_the_base_path(below: httpx2.AsyncClient) -> None:
    assert (await below.get("/livez")).text == "alive\n"
    for path in ("/livez", "/readyz", "/metrics"):
        assert (await below.get(PREFIX + path)).status_code == 404


async def test_the_api_is_below_the_base_path(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}", base_path=PREFIX)
    await migrate(settings.database_url)
    with serving(create_app(settings)) as address:
        async with httpx2.AsyncClient(base_url=address) as client:
            query = {"query": "{ runs { totalCount } }"}
            answer = await client.post(f"{PREFIX}/graphql", json=query)
            assert answer.json() == {"data": {"runs": {"totalCount": 0}}}
            assert (await client.post("/graphql", json=query)).status_code == 404
            assert (await client.get("/readyz")).status_code == 200
        async with connected(f"{address}{PREFIX}/graphql") as watching:
            await watching.subscribe("a", "subscription { runs { kind } }")
            assert (await watching.data("a"))["kind"] == "SYNCED"


async def test_the_web_ui_may_load_nothing_from_other_hosts(browser: httpx2.AsyncClient) -> None:
    headers = (await browser.get("/runs/a/b/c")).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'self' 'sha256-{SCRIPT_HASH}'",
        "style-src": policy["style-src"],
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "frame-src": "'self'",
        "base-uri": "'self'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-content-type-options"] == "nosniff"


def without_nonce(text: str) -> str:
    """The text of a page, or a header, without its nonce."""
    return re.sub(r"(nonce[-=]\"?)[\w-]{22}", r"\1", text)


async def test_every_document_has_a_new_nonce(
    browser: httpx2.AsyncClient,
) -> None:
    nonces = set()
    for _ in range(5):
        response = await browser.get("/runs/a/b/c")
        policy = response.headers["content-security-policy"]
        nonce = re.search(r"style-src 'self' 'nonce-([\w-]{22})';", policy)
        assert nonce is not None
        nonces.add(nonce[1])
        assert response.text.count(f'<meta name="csp-nonce" nonce="{nonce[1]}" />') == 1
        assert response.text.count(f'<style nonce="{nonce[1]}">') == 1
    assert len(nonces) == 5


async def test_the_document_is_not_cached(browser: httpx2.AsyncClient, folder: Path) -> None:
    """It has no ETag: a revalidated copy would have the nonce of another policy."""
    first = await browser.get("/runs/a/b/c")
    assert first.headers["cache-control"] == "no-cache"
    assert "etag" not in first.headers
    assert (await browser.get("/runs/a/b/c", headers={"if-none-match": "*"})).status_code == 200
    (folder / "index.html").write_text(HTML.replace("abc123", "def456"))
    assert "def456" in (await browser.get("/runs/a/b/c")).text


async def test_head_has_the_headers_of_get(browser: httpx2.AsyncClient) -> None:
    for path in ("/", "/runs/a/b/c", "/favicon.svg", "/assets/index-abc123.js"):
        got, head = await browser.get(path), await browser.head(path)
        assert (head.status_code, head.content) == (200, b"")
        response_headers = [
            {name: without_nonce(value) for name, value in each.headers.items()} for each in (got, head)
        ]
        assert response_headers[0] == response_headers[1]


async def test_files_with_a_hash_in_their_name_are_immutable(browser: httpx2.AsyncClient) -> None:
    for name in ("index-abc123.js", "index-abc123.css", "font-abc123.woff2"):
        response = await browser.get(f"/assets/{name}")
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_other_files_are_revalidated(browser: httpx2.AsyncClient) -> None:
    for name in ("favicon.svg", "color-scheme.js"):
        first = await browser.get(f"/{name}")
        assert first.content == FILES[name]
        assert first.headers["cache-control"] == "no-cache"
        assert first.headers["x-content-type-options"] == "nosniff"
        again = await browser.get(f"/{name}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/assets/index-abc123.js", "text/javascript; charset=utf-8"),
        ("/assets/index-abc123.css", "text/css; charset=utf-8"),
        ("/assets/font-abc123.woff2", "font/woff2"),
        ("/color-scheme.js", "text/javascript; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ],
)
async def test_files_have_the_right_content_type(browser: httpx2.AsyncClient, path: str, type: str) -> None:
    assert (await browser.get(path)).headers["content-type"] == type


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, deflate", "gzip"), ("gzip, br", "br")])
async def test_files_are_compressed_for_browsers_that_accept_it(
    browser: httpx2.AsyncClient, folder: Path, accepted: str, encoding: str
) -> None:
    path = "/assets/index-abc123.js"
    # Python has no Brotli: the server sends the file as it is.
    (folder / f"{path[1:]}.br").write_bytes(b"compressed")
    async with browser.stream("GET", path, headers={"accept-encoding": accepted}) as packed:
        content = b"".join([part async for part in packed.aiter_raw()])
    plain = await browser.get(path, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == encoding
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) == len(SCRIPT)
    assert content == (b"compressed" if encoding == "br" else FILES[f"{path[1:]}.gz"])
    assert plain.content == SCRIPT
    assert packed.headers["content-type"] == plain.headers["content-type"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert packed.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/nothing.js",
        "/run",
        "/tasks/a",
        "/aborts/a",
        "/index.html",
        "/.ready",
        "/assets",
        "/assets/",
        "/assets/nothing-abc123.js",
        "/assets/..%2findex.html",
        "/assets/..%2f.ready",
        "/assets/%2e%2e/%2e%2e/ui.py",
        "/..%2fui.py",
    ],
)
async def test_missing_paths_are_not_found_and_not_cached(browser: httpx2.AsyncClient, path: str) -> None:
    response = await browser.get(path, follow_redirects=True)
    assert response.status_code == 404
    assert response.headers.get("cache-control") in (None, "no-store")


async def test_a_missing_file_is_served_once_it_exists(browser: httpx2.AsyncClient, folder: Path) -> None:
    missing = await browser.get("/assets/new-def456.js")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")
    (folder / "assets" / "new-def456.js").write_bytes(SCRIPT)
    assert (await browser.get("/assets/new-def456.js")).status_code == 200


async def test_the_web_ui_accepts_no_posts(browser: httpx2.AsyncClient) -> None:
    for path in ("/", "/runs/a/b/c", "/favicon.svg", "/assets/index-abc123.js"):
        assert (await browser.post(path)).status_code == 405
    assert (await browser.post("/nothing")).status_code == 404


async def test_a_missing_build_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ui, "WEB_UI", tmp_path / "nothing")
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'runs.db'}")
    await migrate(settings.database_url)
    app = create_app(settings)
    async with app.router.lifespan_context(app), client_of(app) as client:
        for path in PATHS:
            response = await client.get(path)
            assert (response.status_code, response.headers["cache-control"]) == (503, "no-store")
            assert "make install" in response.text
            assert "cd frontend && npm ci && npm run build" in response.text
        for path in ("/favicon.svg", "/assets/index-abc123.js"):
            assert (await client.get(path)).status_code == 404
        answer = await client.get("/graphql?query={runs{totalCount}}")
        assert answer.json() == {"data": {"runs": {"totalCount": 0}}}


@pytest.mark.parametrize("base", ["", PREFIX])
async def test_without_the_web_ui_the_root_redirects_to_the_api(folder: Path, base: str) -> None:
    async with client_of(create_app(Settings(page=False, base_path=base))) as client:
        response = await client.get(f"{base}/")
        assert (response.status_code, response.headers["location"]) == (307, "graphql")
        for path in ("/runs", "/runs/a/b/c", "/favicon.svg", "/assets/index-abc123.js"):
            assert (await client.get(base + path)).status_code == 404
        response = await client.get("/", headers={"accept": "text/html"}, follow_redirects=True)
        assert str(response.url) == f"http://localhost{base}/graphql"
        assert "Rungraph API" in response.text


def test_the_source_contains_the_base_that_the_server_replaces() -> None:
    source = (ROOT / "frontend" / "index.html").read_text()
    assert source.count('<base href="./" />') == 1
    assert source.index("<base ") < min(source.index("<script"), source.index("<link"), source.index("<meta"))


@pytest.mark.parametrize(
    ("path", "base"),
    [("/settings", "./"), ("/settings/users", "../"), ("/a/b%2Fc/", "../../"), ("/livez/x", "../")],
)
async def test_unknown_paths_show_the_web_ui_with_status_404(
    browser: httpx2.AsyncClient, below: httpx2.AsyncClient, path: str, base: str
) -> None:
    html = {"accept": "text/html,application/xhtml+xml"}
    for client, prefix in ((browser, ""), (below, PREFIX)):
        response = await client.get(prefix + path, headers=html)
        assert response.status_code == 404
        assert without_nonce(response.text) == HTML.replace("./", base, 1)
        plain = await client.get(prefix + path)
        assert (plain.status_code, plain.text) == (404, "Not Found")
    for missing_file in ("/assets/index-other.js", "/other.svg"):
        assert (await browser.get(missing_file, headers={"accept": "*/*"})).text != HTML
    assert (await browser.post("/settings", headers=html)).text == "Not Found"
