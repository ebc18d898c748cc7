"""Owns the wiring of a server: settings, repository, schema and routes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from graph.aborts.reconciler import Reconciler
from graph.aborts.webhook import Webhook
from graph.auth.authentication import Authenticator
from graph.auth.caller import Caller
from graph.auth.claims import parse_grant_rules
from graph.auth.cookies import cookies_for
from graph.auth.jwt import TokenRules
from graph.auth.oidc import Client, Provider
from graph.auth.origins import is_loopback
from graph.context import Context
from graph.errors import RequestRefused
from graph.execution import Engine
from graph.limits.documents import Limits
from graph.limits.rate_limits import Throttle
from graph.limits.trusted_documents import TrustedDocuments, only_texts, read_documents
from graph.observability.metrics import measuring, metrics
from graph.observability.telemetry import Telemetry
from graph.schema.build import build_schema
from graph.setting_types import split_commas, split_words
from graph.settings import Settings
from graph.transport.http import GraphQLEndpoint
from graph.transport.request import Resolve
from graph.transport.server import Server
from graph.web.code_flow import AuthorizationCodeFlow
from graph.web.security import PROBES, AllowedHosts, SecurityMiddleware
from graph.web.sign_in import SignIn
from graph.web.ui import Handler, graphiql, graphiql_routes, ui_not_found, ui_routes
from repo import ActionRepo, DatabaseReadOnly, Permission, Supervisor, open_repository

if TYPE_CHECKING:
    from graph.observability.tracing import Tracing

logger = structlog.get_logger("rungraph.app")

_READY_WITHIN = 2.0
"""Seconds that the database has to answer before a server calls itself not ready."""


def create_app(settings: Settings) -> Starlette:
    """The application. Its lifespan opens the repository over a database that `repo.migrate` has made."""

    tracing = _tracing() if settings.tracing else None
    provider = provider_of(settings) if settings.auth == "oidc" else None
    sign_in = _sign_in(settings, provider) if settings.auth != "none" else None
    throttle = _throttle(settings)
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
            ) as repository,
            _reconciler(settings, repository, supervisor).running() as reconciler,
            measuring(repository, endpoint, reconciler, supervisor) as app.state.metrics,
            provider.running() if provider is not None else nullcontext(),
            throttle.running(),
            _authenticator(
                settings, repository, provider, throttle, supervisor
            ).running() as app.state.authenticator,
        ):
            app.state.repository = repository
            yield

    async def new_context(connection: HTTPConnection, caller: Caller) -> Context:
        repository = connection.app.state.repository.on_behalf_of(caller.access)
        return Context(repository, caller, settings.max_page_size)

    limits = Limits(
        settings.max_query_depth,
        settings.max_query_aliases,
        settings.max_query_tokens,
        settings.max_query_cost,
        settings.max_page_size,
        settings.introspection,
    )
    endpoint = GraphQLEndpoint(
        Engine(build_schema(limits), settings.compiled_execution, settings.operation_timeout),
        new_context,
        max_body_bytes=settings.max_body_bytes,
        # Where only some documents are executed, it could not even ask for the schema.
        graphiql=_protect(sign_in)(graphiql)
        if settings.graphiql and not settings.trusted_documents
        else None,
        max_subscriptions=settings.max_subscriptions,
        allowed_origins=split_commas(settings.allowed_origins),
        telemetry=Telemetry(settings.log_operations, tracing),
        throttle=throttle,
        resolve=_resolve(settings),
    )
    app = Starlette(
        routes=_routes(settings, endpoint, sign_in),
        middleware=[
            Middleware(SecurityMiddleware, hosts=_hosts(settings), any_host_paths=_any_host_paths(settings))
        ],
        lifespan=lifespan,
        exception_handlers={404: ui_not_found(settings.base_path, _protect(sign_in))}
        if settings.page
        else {},
    )
    app.state.is_stopping = lambda: False
    app.state.supervisor = supervisor
    return app


def _any_host_paths(settings: Settings) -> frozenset[str]:
    # Prometheus scrapes each replica by its address, with a token that no page of another origin has.
    return PROBES | {"/metrics"} if settings.auth != "none" else PROBES


def _tracing() -> "Tracing":
    # What it needs is an extra, and takes its time to be imported.
    from graph.observability.tracing import Tracing

    return Tracing()


def provider_of(settings: Settings) -> Provider:
    """The OpenID provider that the settings name."""
    rules = TokenRules(
        settings.oidc_issuer,
        settings.oidc_audience,
        frozenset(split_words(settings.oidc_algorithms)),
        settings.oidc_leeway,
    )
    return Provider(rules, parse_grant_rules(settings.oidc_grants))


def _resolve(settings: Settings) -> Resolve:
    if not settings.trusted_documents:
        return only_texts
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


def _throttle(settings: Settings) -> Throttle:
    return Throttle(
        rate_limit=settings.rate_limit,
        auth_failures=settings.auth_failures,
        storage=settings.rate_limit_storage,
        most_per_address=settings.max_connections_per_address,
        most_per_caller=settings.max_connections_per_caller,
    )


def _authenticator(
    settings: Settings,
    repository: ActionRepo,
    provider: Provider | None,
    throttle: Throttle,
    supervisor: Supervisor,
) -> Authenticator:
    if settings.auth == "none":
        return Authenticator(None, supervisor=supervisor)
    return Authenticator(
        repository,
        verify_jwt=provider.caller_of if provider is not None else None,
        cookie=cookies_for(settings.public_url, settings.base_path).session,
        on_invalid=throttle.note_failure,
        supervisor=supervisor,
    )


def _sign_in(settings: Settings, provider: Provider | None) -> SignIn:
    cookies = cookies_for(settings.public_url, settings.base_path)
    session_lifetime = timedelta(hours=settings.session_hours)
    code_flow = None
    if provider is not None and settings.oidc_client_id:
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
        most_attempts=settings.abort_attempts,
        timeout=settings.abort_webhook_timeout,
        supervisor=supervisor,
    )


def _routes(settings: Settings, endpoint: GraphQLEndpoint, sign_in: SignIn | None) -> list[BaseRoute]:
    """What is where; the first one that fits is taken."""
    for_clients = [
        Route("/graphql", endpoint),
        WebSocketRoute("/graphql", endpoint),
        *graphiql_routes(),
        *(sign_in.routes() if sign_in is not None else []),
        *(ui_routes(_protect(sign_in)) if settings.page else [Route("/", _redirect("graphql"))]),
    ]
    # They are asked from beside the server, where no proxy and no prefix is.
    for_machines = [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", _metrics)]
    if not settings.base_path:
        return [*for_clients, *for_machines]
    base = settings.base_path
    return [
        *for_machines,
        Route("/", _redirect(f"{base.removeprefix('/')}/")),
        # Without the slash at its end, what is relative to it would lie beside it.
        Route(base, _redirect(f"{base.rpartition('/')[2]}/")),
        Mount(base, routes=for_clients),
    ]


def _redirect(to: str) -> Callable[[Request], Awaitable[Response]]:
    """Leads to a path that is relative to the one asked for, and so holds behind any prefix."""

    async def redirect(request: Request) -> Response:
        query = request.url.query
        return RedirectResponse(f"{to}?{query}" if query else to)

    return redirect


def create_server(settings: Settings, **options: Any) -> Server:
    """The application as a server, with other options of Server."""
    app = create_app(settings)
    server = Server(
        app,
        settings.host,
        settings.port,
        stop_delay=settings.stop_delay,
        request_timeout=settings.request_timeout,
        trusted_proxies=split_commas(settings.trusted_proxies),
        **options,
    )
    app.state.is_stopping = lambda: server.should_exit
    return server


async def _metrics(request: Request) -> Response:
    """What is measured, for whoever may read everything: it is of all projects together."""
    try:
        caller = await request.app.state.authenticator.authenticate(request)
    except RequestRefused as refusal:
        return PlainTextResponse(f"{refusal}\n", refusal.status, refusal.headers)
    if caller.access.scopes(Permission.READ) is not None:
        return PlainTextResponse("This is for callers with a role in all projects and domains.\n", 403)
    return await metrics(request)


async def livez(request: Request) -> Response:
    """200 as long as the process serves requests."""
    return PlainTextResponse("alive\n")


async def readyz(request: Request) -> Response:
    """200 when the database can be read and written and has the newest schema, else 503; 503 too once the
    server stops, and while a background loop is not alive."""
    if request.app.state.is_stopping():
        return PlainTextResponse("not ready: the server stops\n", 503)
    if failed := request.app.state.supervisor.failed:
        names = ", ".join(failed)
        return PlainTextResponse(f"not ready: ended by an error and started again: {names}\n", 503)
    try:
        await _in_time(request.app.state.repository.check())
    except Exception as error:  # whatever it is, the answer is "not ready"; the reason goes to the log
        cause = error.__cause__ or error
        logger.warning("not ready", reason=f"{type(cause).__name__}: {cause}".partition("\n")[0])
        if isinstance(error, DatabaseReadOnly):
            return PlainTextResponse("not ready: the database accepts no writes\n", 503)
        return PlainTextResponse("not ready: the database does not answer or has another schema\n", 503)
    return PlainTextResponse("ready\n")


async def _in_time(check: Coroutine[Any, Any, None]) -> None:
    """The check, or a TimeoutError. A connection that is dead takes some time more to be dropped, for which
    nobody waits."""
    checking = asyncio.create_task(check)
    checking.add_done_callback(lambda task: task.cancelled() or task.exception())
    done, _ = await asyncio.wait({checking}, timeout=_READY_WITHIN)
    if not done:
        checking.cancel()
        raise TimeoutError(f"the database did not answer within {_READY_WITHIN:g} s")
    checking.result()
