"""`rungraph doctor`: checks settings, database, bus and clocks, and says what to do."""

import os
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

import repo
from graph.app import provider_of
from graph.auth.oidc import ProviderError
from graph.auth.origins import is_loopback
from graph.settings import PREFIX, Settings, explain
from graph.web.ui import GRAPHIQL, WEB_UI
from repo import CheckResult, CheckStatus

_BESIDE_ITS_POOLS = 3
"""Connections of a process beside its two pools: two for polls and one for the bus."""
_GUESSED = {"admin", "changeme", "password", "postgres", "rungraph", "secret", "test"}
_OF_CLIENTS = {f"{PREFIX}TOKEN"}
"""RUNGRAPH_ variables that are not server settings."""
_STYLE = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.FAILURE: "red"}


async def diagnose() -> AsyncIterator[CheckResult]:
    """The result of each check; only the settings' errors if they are invalid."""
    try:
        settings = Settings()
    except ValidationError as error:
        yield CheckResult("settings", CheckStatus.FAILURE, explain(error))
        return
    unsafe = list(_unsafe(settings))
    for finding in unsafe or [CheckResult("settings", CheckStatus.OK, "valid and safe")]:
        yield finding
    of_a_process = 2 * settings.database_pool_size + _BESIDE_ITS_POOLS
    async for finding in repo.check_database(settings.database_url, settings.workers * of_a_process):
        yield finding
    yield await repo.check_bus(settings.broadcast_url)
    if settings.auth == "oidc":
        yield await _examine_provider(settings)


async def _examine_provider(settings: Settings) -> CheckResult:
    """Checks the OpenID provider's endpoints and keys."""
    provider = provider_of(settings)
    async with provider.running():
        try:
            endpoints = await provider.endpoints()
        except ProviderError as error:
            return CheckResult("provider", CheckStatus.FAILURE, f"{settings.oidc_issuer}: {error}")
    if settings.oidc_client_id and not (endpoints.authorization_endpoint and endpoints.token_endpoint):
        said = f"{settings.oidc_issuer} has no endpoint at which people could sign in"
        return CheckResult("provider", CheckStatus.FAILURE, said)
    return CheckResult("provider", CheckStatus.OK, f"{settings.oidc_issuer} names its endpoints and keys")


def _unsafe(settings: Settings) -> Iterator[CheckResult]:
    """Settings that are allowed but rarely intended."""

    def careful(said: str) -> CheckResult:
        return CheckResult("settings", CheckStatus.WARNING, said)

    if settings.auth == "none" and not is_loopback(settings.host):
        yield careful(
            f"whoever reaches {settings.host} may do everything: set {PREFIX}AUTH=token or oidc, or have a "
            "proxy in front that knows your users"
        )
    for name in ("database_url", "broadcast_url"):
        parts = urlsplit(getattr(settings, name))
        if parts.password and (parts.password.lower() in _GUESSED or parts.password == parts.username):
            yield careful(f"the password in {PREFIX}{name.upper()} is easily guessed")
    if "*" in settings.allowed_origins:
        yield careful(f"{PREFIX}ALLOWED_ORIGINS=* lets the pages of all sites open websockets here")
    for wanted, built, what in (
        (settings.page, WEB_UI, "the page"),
        (settings.graphiql, GRAPHIQL, "GraphiQL"),
    ):
        if wanted and not (built / "index.html").is_file():
            yield careful(f"{what} is not built, and would not be shown: run make install")
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | _OF_CLIENTS
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            yield careful(f"{name} is no setting: is it misspelt?")


async def run_doctor(console: Console) -> int:
    """Prints a line for each check; returns the exit code, 1 if any failed."""
    failed = False
    async for finding in diagnose():
        failed = failed or finding.verdict is CheckStatus.FAILURE
        line = Text(f"{finding.verdict.value:<8}", style=_STYLE[finding.verdict])
        line.append(f"{finding.check:<12}{finding.said}", style="default")
        console.print(line, soft_wrap=True)
    return 1 if failed else 0
