"""Types of the settings, each with the check of its values.

An error message says what to change and does not repeat the value, which may be a secret.
"""

import re
from collections.abc import Callable
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationInfo
from strawberry.http.websocket_origin import normalize_allowed_origins

import repo
from graph.aborts.webhook import check_url
from graph.auth.claims import parse_grant_rules
from graph.auth.origins import check_safe_url, is_loopback
from graph.limits.rate_limits import check_rate
from graph.limits.trusted_documents import read_documents
from graph.link_templates import parse_links
from graph.outbound import AllowedAddresses

_MIN_SECRET_LENGTH = 16
_TRACING_MODULES = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.asyncpg",
)


def split_commas(value: str) -> list[str]:
    """The items of a setting that are separated by commas."""
    return [item.strip() for item in value.split(",") if item.strip()]


def split_words(value: str) -> list[str]:
    """The items of a setting that are separated by commas or spaces."""
    return value.replace(",", " ").split()


def _check(check: Callable[[str], object]) -> AfterValidator:
    """A validator that accepts a value unless `check` raises ValueError or InvalidArgument."""

    def validate(value: str) -> str:
        try:
            check(value)
        except repo.InvalidArgument as error:
            raise ValueError(str(error)) from None
        return value

    return AfterValidator(validate)


def _unless_empty(check: Callable[[str], object]) -> AfterValidator:
    return _check(lambda value: check(value) if value else None)


def _check_base_path(value: str) -> None:
    # Nothing that URLs would encode, or that the router would take for a pattern.
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", value):
        raise ValueError(
            "must be like /team/rungraph: with a slash before each part and none at the end, parts of "
            "letters, digits and `-._~`, and none of them `.` or `..`"
        )


def _check_public_url(value: str) -> None:
    check_safe_url(value)
    if urlsplit(value).path.endswith("/"):
        raise ValueError("must have no slash at its end")


def _check_origins(value: str) -> None:
    try:
        normalize_allowed_origins(split_commas(value))
    except ValueError:
        raise ValueError("each item must be `*` or an origin such as https://example.com") from None


def _check_hosts(value: str) -> None:
    if not all(re.fullmatch(r"\*|(\*\.)?[\w.-]+|\[[\da-fA-F:]+\]", item) for item in split_commas(value)):
        raise ValueError("every item must be `*` or a name like runs.example.com, without a port")


def _check_log_link_hosts(value: str) -> None:
    AllowedAddresses(split_commas(value))


def _check_networks(value: str) -> None:
    try:
        for item in split_commas(value):
            ip_network(item)
    except ValueError:
        raise ValueError("every item must be an address or a network, such as 10.0.0.0/8") from None


def _check_storage(value: str) -> None:
    parts = urlsplit(value)
    if value != "memory://" and not (parts.scheme in ("redis", "rediss") and parts.hostname):
        raise ValueError("must be `memory://` or like redis://HOST:PORT")


def _check_scopes(value: str) -> None:
    if "openid" not in value.split():
        raise ValueError("must contain the word `openid`")


def _check_algorithms(value: str) -> None:
    from graph.auth.jwt import ALGORITHMS

    if not value.split() or not ALGORITHMS.issuperset(split_words(value)):
        raise ValueError("every item must be an asymmetric algorithm: " + ", ".join(sorted(ALGORITHMS)))


# Settings that depend on others. `info.data` lacks the settings that are invalid themselves.


def _check_allow_anybody(value: bool, info: ValidationInfo) -> bool:
    host = info.data.get("host", "")
    if info.data.get("auth") == "none" and host and not value and not is_loopback(host):
        raise ValueError(
            f"{host} can be reached from other machines, and anyone there could do everything: set "
            "RUNGRAPH_AUTH=token (or oidc), or this to true if that is intended"
        )
    return value


def _check_issuer(value: str, info: ValidationInfo) -> str:
    if value:
        check_safe_url(value)
    elif info.data.get("auth") == "oidc":
        raise ValueError("RUNGRAPH_AUTH=oidc needs it: the `issuer` in the provider's tokens")
    return value


def _check_audience(value: str, info: ValidationInfo) -> str:
    if info.data.get("auth") == "oidc" and not value:
        raise ValueError("RUNGRAPH_AUTH=oidc needs it: tokens for other applications must not be accepted")
    return value


def _check_client_id(value: str, info: ValidationInfo) -> str:
    if value and not info.data.get("public_url", "-"):
        raise ValueError("sign-in at the provider needs a URL to return to: set RUNGRAPH_PUBLIC_URL too")
    return value


def _check_workers(value: int, info: ValidationInfo) -> int:
    database, bus = (urlsplit(info.data.get(name, "")).scheme for name in ("database_url", "broadcast_url"))
    if value > 1 and database.startswith("sqlite"):
        raise ValueError(
            "more than one need PostgreSQL, since SQLite has a single writer: set "
            "RUNGRAPH_DATABASE_URL=postgresql://…"
        )
    if value > 1 and bus == "memory":
        raise ValueError(
            "more than one are not notified of each other's writes over memory://: set "
            "RUNGRAPH_BROADCAST_URL to the URL of the database, or to redis://…"
        )
    return value


def _check_webhook_secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if info.data.get("abort_webhook_url") and len(value.get_secret_value()) < _MIN_SECRET_LENGTH:
        raise ValueError(f"a webhook needs at least {_MIN_SECRET_LENGTH} characters")
    return value


def _check_tracing(value: bool) -> bool:
    try:
        is_missing = value and not all(map(find_spec, _TRACING_MODULES))
    except ModuleNotFoundError:  # of a parent package
        is_missing = True
    if is_missing:
        raise ValueError("needs packages that are not installed: pip install .[otel]")
    return value


ArtifactStore = Annotated[str, _check(repo.check_store_url)]
AllowAnybody = Annotated[bool, AfterValidator(_check_allow_anybody)]
BasePath = Annotated[str, _check(_check_base_path)]
BroadcastUrl = Annotated[str, _check(repo.check_broadcast_url)]
DatabaseUrl = Annotated[str, _check(repo.check_database_url)]
Hosts = Annotated[str, _check(_check_hosts)]
Links = Annotated[str, _check(parse_links)]
LogLinkHosts = Annotated[str, _check(_check_log_link_hosts)]
Networks = Annotated[str, _check(_check_networks)]
OidcAlgorithms = Annotated[str, _check(_check_algorithms)]
OidcAudience = Annotated[str, AfterValidator(_check_audience)]
OidcClientId = Annotated[str, AfterValidator(_check_client_id)]
OidcGrants = Annotated[str, _check(parse_grant_rules)]
OidcIssuer = Annotated[str, AfterValidator(_check_issuer)]
OidcScopes = Annotated[str, _check(_check_scopes)]
Origins = Annotated[str, _check(_check_origins)]
PublicUrl = Annotated[str, _unless_empty(_check_public_url)]
Rate = Annotated[str, _check(check_rate)]
RateLimitStorage = Annotated[str, _check(_check_storage)]
Tracing = Annotated[bool, AfterValidator(_check_tracing)]
TrustedDocuments = Annotated[str, _unless_empty(read_documents)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_check_webhook_secret)]
WebhookUrl = Annotated[str, _unless_empty(lambda url: check_url(url, "RUNGRAPH_ABORT_WEBHOOK_SECRET"))]
Workers = Annotated[int, AfterValidator(_check_workers)]
