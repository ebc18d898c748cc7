"""The settings of a server, read from environment variables RUNGRAPH_*."""

from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

import repo
from graph import setting_types as types

PREFIX = "RUNGRAPH_"


class Settings(BaseSettings):
    """Each field is an environment variable of the same name with the prefix RUNGRAPH_."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, hide_input_in_errors=True)

    # The database and notifications between replicas

    database_url: types.DatabaseUrl = Field(
        default="sqlite:///rungraph.db",
        description="The database: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.",
    )
    database_pool_size: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Connections that each process opens to the database for repeated reads, and as many "
        "for everything else.",
    )
    broadcast_url: types.BroadcastUrl = Field(
        default="memory://",
        description="How replicas notify each other of writes: `memory://` (one process), "
        "`postgresql://…` (may be the same as the database) or `redis://…`.",
    )
    # Listening

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="The port to listen on.")
    # Authentication

    auth: Literal["none", "token", "oidc"] = Field(
        default="none",
        description="How callers are authenticated: `none`, `token` (API tokens) or `oidc` (API tokens "
        "and tokens of an OpenID provider).",
    )
    allow_anybody: types.AllowAnybody = Field(
        default=False,
        description="Whether `RUNGRAPH_AUTH=none` is intended although other machines can reach the "
        "server: anyone there may then read, write and abort everything.",
    )
    public_url: types.PublicUrl = Field(
        default="",
        description="Where browsers find the web UI, such as `https://runs.example.com`. With https, its "
        "cookies are sent over https only.",
    )
    session_hours: float = Field(
        default=8, gt=0, le=720, description="Hours until a session ends and the user has to sign in again."
    )
    oidc_issuer: types.OidcIssuer = Field(
        default="",
        description="The OpenID provider: the `issuer` in its tokens, such as "
        "`https://login.example.com/realms/main`.",
    )
    oidc_audience: types.OidcAudience = Field(
        default="", validate_default=True, description="The audience that access tokens have to contain."
    )
    oidc_client_id: types.OidcClientId = Field(
        default="",
        description="The client id of the web UI at the provider. Without it users sign in with API tokens.",
    )
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="The client secret of the web UI, if the provider issued one."
    )
    oidc_scopes: types.OidcScopes = Field(
        default="openid profile email",
        description="The scopes that sign-in requests; they have to include `openid`.",
    )
    oidc_algorithms: types.OidcAlgorithms = Field(
        default="RS256 ES256 PS256 EdDSA Ed25519",
        validate_default=False,  # which would import the algorithms
        description="The algorithms that may sign tokens, all of them asymmetric.",
    )
    oidc_leeway: float = Field(
        default=30,
        ge=0,
        le=300,
        description="Seconds that the clocks of the provider and of this server may differ.",
    )
    oidc_grants: types.OidcGrants = Field(
        default="",
        description="Rules that grant roles by the claims of a token, as JSON ([how]"
        "(authentication.md#signing-in-with-an-openid-provider)). Callers that match none have no access.",
    )
    # Processes

    workers: types.Workers = Field(
        default=1,
        ge=1,
        le=100,
        description="How many processes serve requests. More than one need PostgreSQL, and a "
        "`RUNGRAPH_BROADCAST_URL` that notifies them of each other's writes.",
    )
    stop_delay: float = Field(
        default=0,
        ge=0,
        le=600,
        description="Seconds that a server continues to serve after a signal to stop, while /readyz "
        "responds with 503.",
    )
    # Origins and hosts

    allowed_origins: types.Origins = Field(
        default="",
        description="Other origins whose pages may open a websocket here, separated by commas, such as "
        "`https://example.com`; `*` for all. Behind a proxy that does not pass on `Host`, add"
        " the server's own origin.",
    )
    allowed_hosts: types.Hosts = Field(
        default="",
        description="Host names that the server accepts, separated by commas, such as `runs.example.com` or "
        "`*.example.com`; `*` for all. The default is those of this machine if only this machine can reach "
        "the server, and else all. The one of `RUNGRAPH_PUBLIC_URL` is always accepted.",
    )
    # Abort webhook

    abort_webhook_url: types.WebhookUrl = Field(
        default="",
        description="Where an executor is notified of aborts, by a signed POST: `https://…`. Without it, "
        "executors subscribe to `abortRequests`, or poll `pendingAborts`.",
    )
    abort_webhook_secret: types.WebhookSecret = Field(
        default=SecretStr(""),
        description="Signs these requests: at least 16 characters that the executor knows too.",
    )
    abort_webhook_timeout: float = Field(
        default=10, gt=0, le=30, description="Seconds that the executor has to respond."
    )
    abort_webhook_allow_private: bool = Field(
        default=False, description="Whether the executor may have an address in a private network."
    )
    abort_attempts: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="How often an executor is notified of an abort before the request is marked as failed.",
    )
    # Artifacts

    artifact_store: types.ArtifactStore = Field(
        default="",
        description="Where artifacts of more than 1 MiB are: a directory that all servers share, "
        "`file:///DIRECTORY`, or a bucket, `s3://BUCKET/PREFIX`, `gs://…` or `az://…` ([how]"
        "(artifacts.md#large-artifacts)). By default a directory beside the SQLite file; with PostgreSQL "
        "none, so that larger ones are refused. `none` for none.",
    )
    artifact_url_minutes: float = Field(
        default=60,
        ge=1,
        le=7 * 24 * 60,
        description="Minutes that the signed address of an artifact is valid; that of a download up to twice "
        "as long.",
    )
    max_artifact_bytes: int = Field(
        default=1024**3, ge=1024, le=48 * 1024**3, description="The maximum size of an artifact, in bytes."
    )
    max_artifacts_per_attempt: int = Field(
        default=1000, ge=1, le=1000, description="How many artifacts an attempt of an action may have."
    )
    max_artifact_bytes_per_run: int = Field(
        default=20 * 1024**3,
        ge=1024,
        le=2**62,
        description="How many bytes the artifacts of a run may have together.",
    )
    # What is served

    compiled_execution: bool = Field(
        default=True,
        description="Whether operations are compiled. Otherwise they are executed step by step, with the "
        "same results, many times slower.",
    )
    page: bool = Field(
        default=True, description="Whether the web UI is served at /. Otherwise / redirects to /graphql."
    )
    graphiql: bool = Field(default=True, description="Whether GraphiQL is served to browsers at /graphql.")
    base_path: types.BasePath = Field(
        default="",
        description="The path below which the web UI, the API and GraphiQL are served, such as "
        "`/team/rungraph`, for a proxy that does not strip it. /livez, /readyz and /metrics "
        "are not below it.",
    )
    # Limits

    max_body_bytes: int = Field(
        default=8 * 1024 * 1024, ge=1024, description="The maximum size of a request body, in bytes."
    )
    max_page_size: int = Field(
        default=repo.MAX_PAGE, ge=1, le=repo.MAX_PAGE, description="The maximum number of items on a page."
    )
    max_query_depth: int = Field(
        default=15, ge=1, description="The maximum depth of an operation, except for introspection."
    )
    max_query_aliases: int = Field(
        default=100,
        ge=0,
        description="The maximum number of aliases in an operation, including those in its fragments.",
    )
    max_query_tokens: int = Field(
        default=4000,
        ge=100,
        description="The maximum number of tokens in a document; variables do not count.",
    )
    max_query_cost: int = Field(
        default=250_000,
        ge=1000,
        description="The maximum number of objects that an operation may return, by the sizes of its pages.",
    )
    operation_timeout: float = Field(
        default=30,
        gt=0,
        le=3600,
        description="Seconds for a query or mutation, and for each database statement.",
    )
    request_timeout: float = Field(
        default=20, gt=0, le=3600, description="Seconds for a request to arrive, including its body."
    )
    trusted_documents: types.TrustedDocuments = Field(
        default="",
        description="The only documents that are executed: `page` for those of the web UI, or a JSON file"
        " with further ones ([how](api.md#trusted-documents)). Empty for all documents.",
    )
    introspection: bool = Field(
        default=True, description="Whether operations may query the schema. GraphiQL needs it."
    )
    rate_limit: types.Rate = Field(
        default="10000/10seconds",
        description="How many operations a caller may send, such as `1000/minute`; empty for no limit. "
        "Anonymous callers are not limited.",
    )
    auth_failures: types.Rate = Field(
        default="20/minute",
        description="How many invalid credentials an address may send, such as wrong tokens, before it is"
        " refused for a while; empty for no limit.",
    )
    rate_limit_storage: types.RateLimitStorage = Field(
        default="memory://",
        description="Where operations and failures are counted: `memory://` in each process, or "
        "`redis://…` for all of them together.",
    )
    max_connections_per_address: int = Field(
        default=5000,
        ge=1,
        description="How many websockets and concurrent requests an address may have in a process.",
    )
    max_connections_per_caller: int = Field(
        default=1000,
        ge=1,
        description="How many websockets and concurrent requests an authenticated caller may have in a "
        "process.",
    )
    trusted_proxies: types.Networks = Field(
        default="",
        description="Addresses and networks of proxies, separated by commas, whose `X-Forwarded-For` and "
        "`X-Forwarded-Proto` headers are trusted.",
    )
    max_subscriptions: int = Field(
        default=100, ge=1, description="How many concurrent operations a websocket may have."
    )
    log_quota: int = Field(
        default=repo.DEFAULT_LOG_QUOTA,
        ge=1024 * 1024,
        le=2**40,
        description="Bytes of lines that are kept of the log of an attempt, before compression. In a longer "
        "log the middle is removed: the first half of these bytes and the newest lines stay.",
    )
    # Links to other systems

    links: types.Links = Field(
        default="",
        description="Links that runs and actions have to other systems, such as dashboards and code: "
        "templates of addresses, as JSON ([how](operations.md#links-to-other-systems)).",
    )
    # Links to logs

    log_link_hosts: types.LogLinkHosts = Field(
        default="",
        description="Where this server reads logs that executors linked, for the web UI: hosts such as "
        "`logs.example.com`, `*.example.com` or `example.com:8443`, and beginnings of addresses such as "
        "`https://example.com/logs/`, separated by commas. Empty for none.",
    )
    log_link_allow_private: bool = Field(
        default=False, description="Whether these hosts may have addresses in a private network."
    )
    log_link_timeout: float = Field(
        default=30, gt=0, le=600, description="Seconds to read a linked log, or a range of it."
    )
    log_link_max_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        description="The most bytes of a linked log in a response; longer ones are read in ranges.",
    )
    # Observability

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The lowest level that is logged, to standard error."
    )
    log_format: Literal["auto", "text", "json"] = Field(
        default="auto",
        description="The format of log lines: `text` for people, `json` for machines; `auto` is text on a"
        " terminal.",
    )
    log_operations: Literal["all", "slow", "none"] = Field(
        default="slow",
        description="Which operations are logged when they end: `all`, `none`, or `slow` for those that "
        "took a second or failed by an error of the server.",
    )
    tracing: types.Tracing = Field(
        default=False,
        description="Whether operations and their statements are traced, configured by the `OTEL_…` "
        "variables of OpenTelemetry. Needs the extra `otel`.",
    )

    def for_worker(self) -> dict[str, Any]:
        """All settings as JSON values, including secrets, for the worker processes of this server."""
        values = self.model_dump().items()
        return {k: v.get_secret_value() if isinstance(v, SecretStr) else v for k, v in values}


def explain(error: ValidationError) -> str:
    """One line that names the invalid variables and the reasons, without their values."""
    return "; ".join(
        f"{PREFIX}{'.'.join(map(str, item['loc'])).upper()}: {item['msg'].removeprefix('Value error, ')}"
        for item in error.errors(include_input=False, include_url=False)
    )
