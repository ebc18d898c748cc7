"""`rungraph doctor`: checks settings, database, bus and clocks, and suggests fixes."""

import os
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

import repo
from graph.auth.oidc import ProviderError
from graph.auth.origins import is_loopback
from graph.components import provider_of
from graph.settings import PREFIX, Settings, explain
from graph.web.ui import GRAPHIQL, WEB_UI
from repo import CheckResult, CheckStatus

_OTHER_CONNECTIONS = 3
"""Connections of a process beside its two pools: two for polls and one for the bus."""
_COMMON_PASSWORDS = {"admin", "changeme", "password", "postgres", "rungraph", "secret", "test"}
_CLIENT_VARIABLES = {
    f"{PREFIX}{name}"
    for name in (
        *("URL", "TOKEN", "TOKEN_FILE", "PROJECT", "DOMAIN", "RUN", "LABELS", "LOGS", "DISABLED", "PARENT"),
        *("LEASE_SECONDS", "EXIT_SECONDS", "SPOOL", "SPOOL_BYTES"),
    )
}
"""Variables of the commands and the Python client, which are no settings of the server."""
_STYLE = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.FAILURE: "red"}


async def diagnose() -> AsyncIterator[CheckResult]:
    """The result of each check; only the settings' errors if they are invalid."""
    try:
        settings = Settings()
    except ValidationError as error:
        yield CheckResult("settings", CheckStatus.FAILURE, explain(error))
        return
    warnings = list(_unsafe_settings(settings))
    for result in warnings or [CheckResult("settings", CheckStatus.OK, "valid and safe")]:
        yield result
    per_process = 2 * settings.database_pool_size + _OTHER_CONNECTIONS
    async for result in repo.check_database(settings.database_url, settings.workers * per_process):
        yield result
    yield await repo.check_bus(settings.broadcast_url)
    yield await repo.check_store(settings.artifact_store, settings.database_url)
    if settings.auth == "oidc":
        yield await _check_provider(settings)


async def _check_provider(settings: Settings) -> CheckResult:
    """Checks the OpenID provider's endpoints and keys."""
    provider = provider_of(settings)
    async with provider.running():
        try:
            endpoints = await provider.endpoints()
        except ProviderError as error:
            return CheckResult("provider", CheckStatus.FAILURE, f"{settings.oidc_issuer}: {error}")
    if settings.oidc_client_id and not (endpoints.authorization_endpoint and endpoints.token_endpoint):
        text = f"{settings.oidc_issuer} has no endpoints for sign-in"
        return CheckResult("provider", CheckStatus.FAILURE, text)
    return CheckResult("provider", CheckStatus.OK, f"{settings.oidc_issuer} publishes endpoints and keys")


def _unsafe_settings(settings: Settings) -> Iterator[CheckResult]:
    """Settings that are allowed but rarely intended."""

    def warning(text: str) -> CheckResult:
        return CheckResult("settings", CheckStatus.WARNING, text)

    if settings.auth == "none" and not is_loopback(settings.host):
        yield warning(
            f"anyone who can reach {settings.host} has full access: set {PREFIX}AUTH=token or oidc, or use a "
            "proxy that authenticates users"
        )
    for name in ("database_url", "broadcast_url"):
        parts = urlsplit(getattr(settings, name))
        if parts.password and (
            parts.password.lower() in _COMMON_PASSWORDS or parts.password == parts.username
        ):
            yield warning(f"the password in {PREFIX}{name.upper()} is easily guessed")
    if "*" in settings.allowed_origins:
        yield warning(f"{PREFIX}ALLOWED_ORIGINS=* lets pages of any site open websockets")
    for is_enabled, folder, name in (
        (settings.page, WEB_UI, "the web UI"),
        (settings.graphiql, GRAPHIQL, "GraphiQL"),
    ):
        if is_enabled and not (folder / "index.html").is_file():
            yield warning(f"{name} was not built and cannot be served: run make install")
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | _CLIENT_VARIABLES
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            yield warning(f"{variable} is not a setting; is it misspelt?")


async def run_doctor(console: Console) -> int:
    """Prints a line for each check; returns the exit code, 1 if any failed."""
    failed = False
    async for result in diagnose():
        failed = failed or result.status is CheckStatus.FAILURE
        line = Text(f"{result.status.value:<8}", style=_STYLE[result.status])
        line.append(f"{result.check:<12}{result.detail}", style="default")
        console.print(line, soft_wrap=True)
    return 1 if failed else 0
