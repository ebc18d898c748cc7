"""Wires the application together: settings, repository, schema, endpoints and routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from graph.aborts.reconciler import Reconciler
from graph.aborts.webhook import Webhook
from graph.auth.artifact_urls import ArtifactUrls
from graph.auth.authentication import Authenticator
from graph.auth.caller import Caller
from graph.auth.claims import parse_grant_rules
from graph.auth.cookies import cookies_for
from graph.auth.origins import is_loopback
from graph.context import Context
from graph.errors import RequestRefused
from graph.execution import Engine
from graph.limits.clients import ClientLimits
from graph.limits.documents import Limits
from graph.limits.trusted_documents import TrustedDocuments, read_documents, refuse_hashes
from graph.observability.health import PROBES, health_routes
from graph.observability.metrics import CONTENT_TYPE, ServerCounts, measuring
from graph.observability.telemetry import Telemetry
from graph.outbound import AllowedAddresses
from graph.schema.build import build_schema
from graph.setting_types import split_commas, split_words
from graph.settings import Settings
from graph.state import State, state_of
from graph.transport.http import GraphQLEndpoint
from graph.transport.pipeline import Pipeline
from graph.transport.request import Resolve
from graph.transport.server import Server
from graph.web.artifacts import ArtifactEndpoint
from graph.web.log_links import LinkLimits, LogLinkEndpoint
from graph.web.security import AllowedHosts, SecurityMiddleware
from graph.web.sign_in import SignIn
from graph.web.ui import Handler, graphiql, graphiql_routes, ui_not_found, ui_routes
from repo import ActionRepo, ArtifactLimits, Permission, Supervisor, open_repository

# What few installations use, and takes long to import, is imported by the function that needs it.
if TYPE_CHECKING:
    from graph.auth.oidc import Provider
    from graph.observability.tracing import Tracing


def create_app(settings: Settings, is_stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """The application, for a database with the current schema. /readyz responds with 503 once
    `is_stopping`."""

    tracing = _tracing() if settings.tracing else None
    provider = provider_of(settings) if settings.auth == "oidc" else None
    sign_in = _sign_in(settings, provider) if settings.auth != "none" else None
    client_limits = _client_limits(settings)
    supervisor = Supervisor()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            tracing.running() if tracing is not None else nullcontext(),
            open_repository(
                settings.database_url,
                settings.database_pool_size,
                settings.broadcast_url,
                statement_timeout=settings.operation_timeout,
                supervisor=supervisor,
                log_quota=settings.log_quota,
                artifact_store=settings.artifact_store,
                artifact_limits=_artifact_limits(settings),
            ) as repository,
            _reconciler(settings, repository, supervisor).running() as reconciler,
            measuring(
                repository, supervisor, pipeline.telemetry, lambda: _counts(pipeline, reconciler)
            ) as metrics,
            provider.running() if provider is not None else nullcontext(),
            client_limits.running(),
            _expiring_leases(repository, supervisor),
            _authenticator(
                settings, repository, provider, client_limits, supervisor
            ).running() as authenticator,
        ):
            urls = _artifact_urls(settings, repository)
            app.state = State(repository, authenticator, metrics, supervisor, urls)  # type: ignore[assignment]
            yield

    async def new_context(connection: HTTPConnection, caller: Caller) -> Context:
        state = state_of(connection)
        repository = state.repository.on_behalf_of(caller.access)
        return Context(repository, caller, settings.max_page_size, state.artifact_urls)

    limits = Limits(
        settings.max_query_depth,
        settings.max_query_aliases,
        settings.max_query_tokens,
        settings.max_query_cost,
        settings.max_page_size,
        settings.introspection,
    )
    pipeline = Pipeline(
        Engine(build_schema(limits), settings.compiled_execution, settings.operation_timeout),
        new_context,
        telemetry=Telemetry(settings.log_operations, tracing),
        client_limits=client_limits,
        resolve=_resolve(settings),
    )
    endpoint = GraphQLEndpoint(
        pipeline,
        max_body_bytes=settings.max_body_bytes,
        # With trusted documents only, GraphiQL could not even request the schema.
        graphiql=_protect(sign_in)(graphiql)
        if settings.graphiql and not settings.trusted_documents
        else None,
        max_subscriptions=settings.max_subscriptions,
        allowed_origins=split_commas(settings.allowed_origins),
    )
    for_machines = [
        *health_routes(lambda: app.state.repository.check(), supervisor, is_stopping),
        Route("/metrics", _metrics),
    ]
    # Prometheus scrapes each replica by its address, with a token that no page of another origin has.
    any_host_paths = PROBES | {"/metrics"} if settings.auth != "none" else PROBES
    app = Starlette(
        routes=_routes(
            settings,
            endpoint,
            [*ArtifactEndpoint(client_limits).routes(), *_log_links(settings, client_limits).routes()],
            sign_in,
            for_machines,
        ),
        middleware=[Middleware(SecurityMiddleware, hosts=_hosts(settings), any_host_paths=any_host_paths)],
        lifespan=lifespan,
        exception_handlers={404: ui_not_found(settings.base_path, _protect(sign_in))}
        if settings.page
        else {},
    )
    return app


def _tracing() -> "Tracing":
    from graph.observability.tracing import Tracing

    return Tracing()


def provider_of(settings: Settings) -> "Provider":
    """The OpenID provider that the settings name."""
    from graph.auth.jwt import TokenRules
    from graph.auth.oidc import Provider

    rules = TokenRules(
        settings.oidc_issuer,
        settings.oidc_audience,
        frozenset(split_words(settings.oidc_algorithms)),
        settings.oidc_leeway,
    )
    return Provider(rules, parse_grant_rules(settings.oidc_grants))


def _resolve(settings: Settings) -> Resolve:
    if not settings.trusted_documents:
        return refuse_hashes
    documents = read_documents(settings.trusted_documents)
    return TrustedDocuments(documents, settings.max_query_tokens).resolve


def _hosts(settings: Settings) -> AllowedHosts:
    names = split_commas(settings.allowed_hosts)
    if public := urlsplit(settings.public_url).hostname:
        names.append(public)
    # On other addresses the names are unknown; there, authentication is required (or was declined).
    only_this_machine = is_loopback(settings.host)
    return AllowedHosts(
        names if settings.allowed_hosts or only_this_machine else ["*"], loopback=only_this_machine
    )


def _client_limits(settings: Settings) -> ClientLimits:
    return ClientLimits(
        rate_limit=settings.rate_limit,
        auth_failures=settings.auth_failures,
        storage=settings.rate_limit_storage,
        max_per_address=settings.max_connections_per_address,
        max_per_caller=settings.max_connections_per_caller,
    )


def _authenticator(
    settings: Settings,
    repository: ActionRepo,
    provider: "Provider | None",
    client_limits: ClientLimits,
    supervisor: Supervisor,
) -> Authenticator:
    if settings.auth == "none":
        return Authenticator(None, supervisor=supervisor)
    return Authenticator(
        repository,
        verify_jwt=provider.caller_of if provider is not None else None,
        cookie=cookies_for(settings.public_url, settings.base_path).session,
        on_invalid=client_limits.record_auth_failure,
        supervisor=supervisor,
    )


def _sign_in(settings: Settings, provider: "Provider | None") -> SignIn:
    cookies = cookies_for(settings.public_url, settings.base_path)
    session_lifetime = timedelta(hours=settings.session_hours)
    code_flow = None
    if provider is not None and settings.oidc_client_id:
        from graph.auth.oidc import Client
        from graph.web.code_flow import AuthorizationCodeFlow

        client = Client(
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value(),
            f"{settings.public_url}/login/callback",
        )
        grant_rules = parse_grant_rules(settings.oidc_grants)
        code_flow = AuthorizationCodeFlow(
            provider, client, settings.oidc_scopes, grant_rules, cookies, session_lifetime
        )
    return SignIn(cookies, session_lifetime, code_flow)


def _artifact_limits(settings: Settings) -> ArtifactLimits:
    return ArtifactLimits(
        settings.max_artifact_bytes, settings.max_artifacts_per_attempt, settings.max_artifact_bytes_per_run
    )


def _artifact_urls(settings: Settings, repository: ActionRepo) -> ArtifactUrls:
    return ArtifactUrls(repository.artifacts.signing_key, settings.artifact_url_minutes * 60)


def _protect(sign_in: SignIn | None) -> Callable[[Handler], Handler]:
    return sign_in.require_sign_in if sign_in is not None else lambda handler: handler


def _reconciler(settings: Settings, repository: ActionRepo, supervisor: Supervisor) -> Reconciler:
    webhook = None
    if settings.abort_webhook_url:
        webhook = Webhook(
            settings.abort_webhook_url,
            settings.abort_webhook_secret.get_secret_value(),
            timeout=settings.abort_webhook_timeout,
            allows_private=settings.abort_webhook_allow_private,
        )
    return Reconciler(
        repository,
        webhook,
        max_attempts=settings.abort_attempts,
        timeout=settings.abort_webhook_timeout,
        supervisor=supervisor,
    )


@asynccontextmanager
async def _expiring_leases(repository: ActionRepo, supervisor: Supervisor) -> AsyncIterator[None]:
    """Ends what is open in runs whose executors are lost, while the context is open."""
    expiring = supervisor.start("lease expiry", repository.leases.expiry.run)
    try:
        yield
    finally:
        expiring.cancel()
        await asyncio.gather(expiring, return_exceptions=True)


def _routes(
    settings: Settings,
    endpoint: GraphQLEndpoint,
    downloads: list[BaseRoute],
    sign_in: SignIn | None,
    for_machines: list[Route],
) -> list[BaseRoute]:
    """All routes; the first match is taken. Routes for machines are outside of the base path, since probes
    and scrapers connect to the server directly, without a proxy."""
    for_clients = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", endpoint),
        *graphiql_routes(),
        *downloads,
        *(sign_in.routes() if sign_in is not None else []),
        *(ui_routes(_protect(sign_in)) if settings.page else [Route("/", _redirect("graphql"))]),
    ]
    if not settings.base_path:
        return [*for_clients, *for_machines]
    base = settings.base_path
    return [
        *for_machines,
        Route("/", _redirect(f"{base.removeprefix('/')}/")),
        # Relative URLs need the trailing slash.
        Route(base, _redirect(f"{base.rpartition('/')[2]}/")),
        Mount(base, routes=for_clients),
    ]


def _log_links(settings: Settings, client_limits: ClientLimits) -> LogLinkEndpoint:
    return LogLinkEndpoint(
        client_limits,
        AllowedAddresses(split_commas(settings.log_link_hosts)),
        LinkLimits(settings.log_link_timeout, settings.log_link_max_bytes),
        allows_private=settings.log_link_allow_private,
    )


def _redirect(to: str) -> Callable[[Request], Awaitable[Response]]:
    """Redirects to a path relative to the request's, which works behind any proxy prefix."""

    async def redirect(request: Request) -> Response:
        query = request.url.query
        return RedirectResponse(f"{to}?{query}" if query else to)

    return redirect


def create_server(settings: Settings, **options: Any) -> Server:
    """The application as a server, with further options of Server."""
    app = create_app(settings, is_stopping=lambda: server.should_exit)
    server = Server(
        app,
        settings.host,
        settings.port,
        stop_delay=settings.stop_delay,
        request_timeout=settings.request_timeout,
        trusted_proxies=split_commas(settings.trusted_proxies),
        **options,
    )
    return server


async def _metrics(request: Request) -> Response:
    """All metrics, for callers who may read all projects and domains."""
    state = state_of(request)
    try:
        caller = await state.authenticator.authenticate(request)
    except RequestRefused as refusal:
        return PlainTextResponse(f"{refusal}\n", refusal.status, refusal.headers)
    if caller.access.scopes(Permission.READ) is not None:
        return PlainTextResponse("Metrics require a role in all projects and domains.\n", 403)
    return Response(await state.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _counts(pipeline: Pipeline, reconciler: Reconciler) -> ServerCounts:
    return ServerCounts(
        operations=pipeline.subscriptions.operations,
        subscriptions=pipeline.subscriptions.subscriptions,
        document_cache_hits=pipeline.engine.known,
        document_cache_misses=pipeline.engine.unknown,
        abort_attempts=reconciler.attempts,
        aborts_failed=reconciler.failed,
    )
