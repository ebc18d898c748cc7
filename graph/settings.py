"""Owns the settings: one class, read from RUNGRAPH_* environment variables."""

import re
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, SettingsConfigDict
from strawberry.http.websocket_origin import normalize_allowed_origins

import repo
from graph.aborts.webhook import check_url
from graph.auth.claims import parse_grant_rules
from graph.auth.jwt import ALGORITHMS
from graph.auth.origins import check_safe_url, is_loopback
from graph.limits.rate_limits import check_rate
from graph.limits.trusted_documents import read_documents

PREFIX = "RUNGRAPH_"
_SHORTEST_SECRET = 16
_TRACING_NEEDS = (
    "opentelemetry.sdk.trace",
    "opentelemetry.exporter.otlp.proto.http",
    "opentelemetry.instrumentation.asyncpg",
)


def _database_url(value: str) -> str:
    try:
        repo.check_database_url(value)
    except repo.InvalidArgument as error:
        raise ValueError(str(error)) from None
    return value


def _broadcast_url(value: str) -> str:
    try:
        repo.check_broadcast_url(value)
    except repo.InvalidArgument as error:
        raise ValueError(str(error)) from None
    return value


def _allowed_origins(value: str) -> str:
    try:
        normalize_allowed_origins(split_commas(value))
    except ValueError:
        raise ValueError("every one must be `*` or like https://example.com, without a path") from None
    return value


def _base_path(value: str) -> str:
    # Nothing that an address would have to encode, and nothing that the router would take for a pattern.
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", value):
        raise ValueError(
            "must be like /team/rungraph: with a slash before each part and none at the end, parts of "
            "letters, digits and `-._~`, and none of them `.` or `..`"
        )
    return value


def _allow_anybody(value: bool, info: ValidationInfo) -> bool:
    # Fields that are wrong themselves are missing here.
    host = info.data.get("host", "")
    if info.data.get("auth") == "none" and host and not value and not is_loopback(host):
        raise ValueError(
            f"others can reach {host}, and may do everything there: set {PREFIX}AUTH=token (or oidc), or, "
            "where that is meant, this one to true"
        )
    return value


def _public_url(value: str) -> str:
    if value:
        check_safe_url(value)
        if urlsplit(value).path.endswith("/"):
            raise ValueError("must have no slash at its end")
    return value


def _oidc_issuer(value: str, info: ValidationInfo) -> str:
    if value:
        check_safe_url(value)
    elif info.data.get("auth") == "oidc":
        raise ValueError("RUNGRAPH_AUTH=oidc needs it: the `issuer` that the provider's tokens name")
    return value


def _oidc_audience(value: str, info: ValidationInfo) -> str:
    if info.data.get("auth") == "oidc" and not value:
        raise ValueError("RUNGRAPH_AUTH=oidc needs it: tokens for other programs must not count here")
    return value


def _oidc_client_id(value: str, info: ValidationInfo) -> str:
    if value and not info.data.get("public_url", "-"):
        raise ValueError(f"to have people sent back here, set {PREFIX}PUBLIC_URL too")
    return value


def _oidc_scopes(value: str) -> str:
    if "openid" not in value.split():
        raise ValueError("must be words with `openid` among them")
    return value


def _oidc_algorithms(value: str) -> str:
    if not value.split() or not ALGORITHMS.issuperset(split_words(value)):
        raise ValueError("each must be one with a public key: " + ", ".join(sorted(ALGORITHMS)))
    return value


def _oidc_grants(value: str) -> str:
    parse_grant_rules(value)
    return value


def _workers(value: int, info: ValidationInfo) -> int:
    # Fields that are wrong themselves are missing here.
    database, bus = (urlsplit(info.data.get(name, "")).scheme for name in ("database_url", "broadcast_url"))
    if value > 1 and database.startswith("sqlite"):
        raise ValueError(
            "more than one need PostgreSQL, for SQLite has one writer at a time: set "
            f"{PREFIX}DATABASE_URL=postgresql://…"
        )
    if value > 1 and bus == "memory":
        raise ValueError(
            f"more than one would not hear of each other's writes over memory://: set {PREFIX}BROADCAST_URL "
            "to the URL of the database, or to redis://…"
        )
    return value


def _allowed_hosts(value: str) -> str:
    if not all(re.fullmatch(r"\*|(\*\.)?[\w.-]+|\[[\da-fA-F:]+\]", each) for each in split_commas(value)):
        raise ValueError("every one must be `*` or a name like runs.example.com, without a port")
    return value


def _trusted_documents(value: str) -> str:
    if value:
        read_documents(value)
    return value


def _rate(value: str) -> str:
    check_rate(value)
    return value


def _rate_limit_storage(value: str) -> str:
    parts = urlsplit(value)
    if value != "memory://" and not (parts.scheme in ("redis", "rediss") and parts.hostname):
        raise ValueError("must be `memory://` or like redis://HOST:PORT")
    return value


def _trusted_proxies(value: str) -> str:
    try:
        for each in split_commas(value):
            ip_network(each)
    except ValueError:
        raise ValueError("every one must be an address or a network, such as 10.0.0.0/8") from None
    return value


def _webhook_url(value: str) -> str:
    if value:
        check_url(value, f"{PREFIX}ABORT_WEBHOOK_SECRET")
    return value


def _webhook_secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    if info.data.get("abort_webhook_url") and len(value.get_secret_value()) < _SHORTEST_SECRET:
        raise ValueError(f"a webhook needs one of at least {_SHORTEST_SECRET} characters")
    return value


def _tracing(value: bool) -> bool:
    try:
        missing = value and not all(map(find_spec, _TRACING_NEEDS))
    except ModuleNotFoundError:  # not even what it lies in
        missing = True
    if missing:
        raise ValueError("it needs packages that are not installed: pip install .[otel]")
    return value


def split_commas(value: str) -> list[str]:
    """The origins that stand in one setting, separated by commas."""
    return [origin.strip() for origin in value.split(",") if origin.strip()]


def split_words(value: str) -> list[str]:
    """The words that stand in one setting, separated by commas or spaces."""
    return value.replace(",", " ").split()


class Settings(BaseSettings):
    """How a server runs. Every field is an environment variable of the same name behind RUNGRAPH_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, hide_input_in_errors=True)

    database_url: Annotated[str, AfterValidator(_database_url)] = Field(
        default="sqlite:///rungraph.db",
        description="Where runs are stored: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    database_pool_size: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="How many connections to the database a process opens for reads that are repeated, "
        "and as many for all else.",
    )
    broadcast_url: Annotated[str, AfterValidator(_broadcast_url)] = Field(
        default="memory://",
        description="How replicas tell each other of a write: `memory://` (one process), "
        "`postgresql://…` (it may be the same as the database) or `redis://…`.",
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="The port to listen on.")
    auth: Literal["none", "token", "oidc"] = Field(
        default="none",
        description="Who may come in: `none` for whoever reaches the server, `token` for who shows an API "
        "token, `oidc` also for whom an OpenID provider knows.",
    )
    allow_anybody: Annotated[bool, AfterValidator(_allow_anybody)] = Field(
        default=False,
        validate_default=True,
        description="Whether `RUNGRAPH_AUTH=none` is meant also where others can reach the server: anybody "
        "may then read, write and abort everything.",
    )
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        default="",
        description="Where browsers find the page, such as `https://runs.example.com`. With https, its "
        "cookies are sent over nothing else.",
    )
    session_hours: float = Field(
        default=8, gt=0, le=720, description="After how many hours whoever signed in has to do so again."
    )
    oidc_issuer: Annotated[str, AfterValidator(_oidc_issuer)] = Field(
        default="",
        validate_default=True,
        description="The OpenID provider, as its tokens name it, such as `https://login.example.com/realms/main`.",
    )
    oidc_audience: Annotated[str, AfterValidator(_oidc_audience)] = Field(
        default="",
        validate_default=True,
        description="What its access tokens have to name as their audience.",
    )
    oidc_client_id: Annotated[str, AfterValidator(_oidc_client_id)] = Field(
        default="",
        description="What the page is to the provider. Without it nobody signs in there, and the page "
        "takes API tokens.",
    )
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="The secret of the page, where the provider gave it one."
    )
    oidc_scopes: Annotated[str, AfterValidator(_oidc_scopes)] = Field(
        default="openid profile email",
        description="What the page asks the provider for; `openid` has to be among it.",
    )
    oidc_algorithms: Annotated[str, AfterValidator(_oidc_algorithms)] = Field(
        default="RS256 ES256 PS256 EdDSA Ed25519",
        description="By which algorithms tokens may be signed. None with a shared secret can be.",
    )
    oidc_leeway: float = Field(
        default=30, ge=0, le=300, description="How many seconds the provider's clock may differ from ours."
    )
    oidc_grants: Annotated[str, AfterValidator(_oidc_grants)] = Field(
        default="",
        description="Who may do what, by the claims of their tokens, as JSON "
        "([how](#signing-in-with-an-openid-provider)). Who is in none of it sees nothing.",
    )
    workers: Annotated[int, AfterValidator(_workers)] = Field(
        default=1,
        ge=1,
        le=100,
        description="How many processes serve requests. More than one need PostgreSQL, and a "
        "`RUNGRAPH_BROADCAST_URL` over which they hear of each other's writes.",
    )
    stop_delay: float = Field(
        default=0,
        ge=0,
        le=600,
        description="For how many seconds a server that is told to stop goes on, while /readyz says so.",
    )
    allowed_origins: Annotated[str, AfterValidator(_allowed_origins)] = Field(
        default="",
        description="Origins of other sites whose pages may open a websocket here, separated by commas, such "
        "as `https://example.com`; `*` for all. A proxy that passes no `Host` on needs its own one here.",
    )
    allowed_hosts: Annotated[str, AfterValidator(_allowed_hosts)] = Field(
        default="",
        description="The names that the server answers to, separated by commas, such as `runs.example.com` "
        "or `*.example.com`; `*` for all. By default those of this machine where only this machine reaches "
        "it, and else all. The one of `RUNGRAPH_PUBLIC_URL` need not be named.",
    )
    abort_webhook_url: Annotated[str, AfterValidator(_webhook_url)] = Field(
        default="",
        description="Where an executor is told of aborts, by a signed POST: `https://…`. Without it, "
        "executors subscribe to `abortRequests`, or poll `pendingAborts`.",
    )
    abort_webhook_secret: Annotated[SecretStr, AfterValidator(_webhook_secret)] = Field(
        default=SecretStr(""),
        description="What these POSTs are signed with, at least 16 characters that the executor knows too.",
    )
    abort_webhook_timeout: float = Field(
        default=10, gt=0, le=30, description="How many seconds the executor has to answer one."
    )
    abort_webhook_allow_private: bool = Field(
        default=False, description="Whether the executor may be at an address of a private network."
    )
    abort_attempts: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="How often an executor is told of an abort before it is given up.",
    )
    compiled_execution: bool = Field(
        default=True,
        description="Whether operations are compiled. Off, everything is executed step by step, with the "
        "same results, many times slower.",
    )
    page: bool = Field(
        default=True, description="Whether a browser gets the page at /. Off, it is led to /graphql."
    )
    graphiql: bool = Field(default=True, description="Whether a browser gets GraphiQL at /graphql.")
    base_path: Annotated[str, AfterValidator(_base_path)] = Field(
        default="",
        description="The path below which the page, the API and GraphiQL lie, such as `/team/rungraph`, for "
        "a proxy that does not strip it. /livez, /readyz and /metrics do not lie below it.",
    )
    max_body_bytes: int = Field(
        default=8 * 1024 * 1024, ge=1024, description="The largest request body that is read, in bytes."
    )
    max_page_size: int = Field(
        default=repo.MAX_PAGE, ge=1, le=repo.MAX_PAGE, description="The most items that a page may have."
    )
    max_query_depth: int = Field(
        default=15, ge=1, description="How many levels deep an operation may nest, introspection excepted."
    )
    max_query_aliases: int = Field(
        default=100, ge=0, description="How many aliases an operation may have, fragments followed."
    )
    max_query_tokens: int = Field(
        default=4000, ge=100, description="How many tokens a document may have; variables do not count."
    )
    max_query_cost: int = Field(
        default=250_000,
        ge=1000,
        description="How many objects an operation may come to, by the sizes of its pages.",
    )
    operation_timeout: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="How many seconds a query or mutation may take, and each statement that is sent to the "
        "database.",
    )
    request_timeout: float = Field(
        default=20, gt=0, le=3600, description="How many seconds a request may take to arrive, body included."
    )
    trusted_documents: Annotated[str, AfterValidator(_trusted_documents)] = Field(
        default="",
        description="The only documents that are executed: `page` for those of the page, or a JSON file with "
        "others beside them ([how](#limits)). Empty for all documents.",
    )
    introspection: bool = Field(
        default=True, description="Whether operations may ask for the schema. GraphiQL needs it."
    )
    rate_limit: Annotated[str, AfterValidator(_rate)] = Field(
        default="10000/10seconds",
        description="How many operations a caller may send, such as `1000/minute`; empty for any number. Who "
        "is not asked who they are is not counted.",
    )
    auth_failures: Annotated[str, AfterValidator(_rate)] = Field(
        default="20/minute",
        description="How often an address may show what is not good, such as a wrong token, before it is "
        "told to wait; empty for any number.",
    )
    rate_limit_storage: Annotated[str, AfterValidator(_rate_limit_storage)] = Field(
        default="memory://",
        description="Where operations and failures are counted: `memory://` in each process, or in a Redis "
        "for all of them, `redis://…`.",
    )
    max_connections_per_address: int = Field(
        default=5000,
        ge=1,
        description="How many websockets and running requests an address may have in a process.",
    )
    max_connections_per_caller: int = Field(
        default=1000,
        ge=1,
        description="The same for a caller who says who they are.",
    )
    trusted_proxies: Annotated[str, AfterValidator(_trusted_proxies)] = Field(
        default="",
        description="Addresses and networks of proxies, separated by commas, that are believed about whom "
        "they pass on (`X-Forwarded-For`, `X-Forwarded-Proto`).",
    )
    max_subscriptions: int = Field(
        default=100, ge=1, description="How many operations one websocket may have at a time."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="From which level on something is logged, to standard error."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto",
        description="How a line of the log looks: `text` for people, `json` for machines; `auto` is text on "
        "a terminal.",
    )
    log_operations: Literal["all", "slow", "none"] = Field(
        default="slow",
        description="Which operations have a line in the log when they end: `all`, or `slow` for those that "
        "took a second or failed by no fault of the client's, or `none`.",
    )
    tracing: Annotated[bool, AfterValidator(_tracing)] = Field(
        default=False,
        description="Whether operations and their statements are traced, as the `OTEL_…` variables of "
        "OpenTelemetry say. Needs the extra `otel`.",
    )

    def for_a_worker(self) -> dict[str, Any]:
        """All of them as JSON has them, secrets too: for a process of the same server, and nobody else."""
        values = self.model_dump().items()
        return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in values}


def explain(error: ValidationError) -> str:
    """One line that says which variables are wrong and why, without repeating their values."""
    return "; ".join(
        f"{PREFIX}{'.'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_input=False, include_url=False)
    )
