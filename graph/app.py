"""Wires the application together: settings, repository, schema, endpoints and routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from graph.aborts.reconciler import Reconciler
from graph.auth.caller import Caller
from graph.components import (
    artifact_limits_of,
    artifact_urls_of,
    authenticator_of,
    client_limits_of,
    hosts_of,
    log_links_of,
    new_tracing,
    provider_of,
    reconciler_of,
    resolve_of,
    sign_in_of,
)
from graph.context import Context
from graph.errors import RequestRefused
from graph.execution import Engine
from graph.limits.documents import Limits
from graph.link_templates import parse_links
from graph.observability.health import PROBES, health_routes
from graph.observability.metrics import CONTENT_TYPE, ServerCounts, measuring
from graph.observability.telemetry import Telemetry
from graph.outbound import AllowedAddresses
from graph.schema.build import build_schema
from graph.setting_types import split_commas
from graph.settings import Settings
from graph.state import State, state_of
from graph.transport.http import GraphQLEndpoint
from graph.transport.pipeline import Pipeline
from graph.transport.server import Server
from graph.web.artifacts import ArtifactEndpoint
from graph.web.security import SecurityMiddleware
from graph.web.sign_in import SignIn
from graph.web.ui import Handler, graphiql, graphiql_routes, ui_not_found, ui_routes
from repo import ActionRepo, Permission, Supervisor, open_repository


def create_app(settings: Settings, is_stopping: Callable[[], bool] = lambda: False) -> Starlette:
    """The application, for a database with the current schema. /readyz responds with 503 once
    `is_stopping`."""

    tracing = new_tracing() if settings.tracing else None
    provider = provider_of(settings) if settings.auth == "oidc" else None
    sign_in = sign_in_of(settings, provider) if settings.auth != "none" else None
    client_limits = client_limits_of(settings)
    supervisor = Supervisor()
    log_links = AllowedAddresses(split_commas(settings.log_link_hosts))
    link_templates = parse_links(settings.links)

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
                artifact_limits=artifact_limits_of(settings),
            ) as repository,
            reconciler_of(settings, repository, supervisor).running() as reconciler,
            measuring(
                repository, supervisor, pipeline.telemetry, lambda: _counts(pipeline, reconciler)
            ) as metrics,
            provider.running() if provider is not None else nullcontext(),
            client_limits.running(),
            _expiring_leases(repository, supervisor),
            authenticator_of(
                settings, repository, provider, client_limits, supervisor
            ).running() as authenticator,
        ):
            urls = artifact_urls_of(settings, repository)
            app.state = State(repository, authenticator, metrics, supervisor, urls)  # type: ignore[assignment]
            yield

    async def new_context(connection: HTTPConnection, caller: Caller) -> Context:
        state = state_of(connection)
        repository = state.repository.on_behalf_of(caller.access)
        return Context(
            repository, caller, settings.max_page_size, state.artifact_urls, log_links, link_templates
        )

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
        resolve=resolve_of(settings),
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
            [
                *ArtifactEndpoint(client_limits).routes(),
                *log_links_of(settings, client_limits, log_links).routes(),
            ],
            sign_in,
            for_machines,
        ),
        middleware=[Middleware(SecurityMiddleware, hosts=hosts_of(settings), any_host_paths=any_host_paths)],
        lifespan=lifespan,
        exception_handlers={404: ui_not_found(settings.base_path, _protect(sign_in))}
        if settings.page
        else {},
    )
    return app


def _protect(sign_in: SignIn | None) -> Callable[[Handler], Handler]:
    return sign_in.require_sign_in if sign_in is not None else lambda handler: handler


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
