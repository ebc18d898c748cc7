"""The parts of the application, built from the settings."""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graph.aborts.reconciler import Reconciler
from graph.aborts.webhook import Webhook
from graph.auth.artifact_urls import ArtifactUrls
from graph.auth.authentication import Authenticator
from graph.auth.claims import parse_grant_rules
from graph.auth.cookies import cookies_for
from graph.auth.origins import is_loopback
from graph.limits.clients import ClientLimits
from graph.limits.trusted_documents import TrustedDocuments, read_documents, refuse_hashes
from graph.outbound import AllowedAddresses
from graph.setting_types import split_commas, split_words
from graph.settings import Settings
from graph.transport.request import Resolve
from graph.web.log_links import LinkLimits, LogLinkEndpoint
from graph.web.security import AllowedHosts
from graph.web.sign_in import SignIn
from repo import ActionRepo, ArtifactLimits, Supervisor

# What few installations use, and takes long to import, is imported by the function that needs it.
if TYPE_CHECKING:
    from graph.auth.oidc import Provider
    from graph.observability.tracing import Tracing


def new_tracing() -> "Tracing":
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


def resolve_of(settings: Settings) -> Resolve:
    if not settings.trusted_documents:
        return refuse_hashes
    documents = read_documents(settings.trusted_documents)
    return TrustedDocuments(documents, settings.max_query_tokens).resolve


def hosts_of(settings: Settings) -> AllowedHosts:
    names = split_commas(settings.allowed_hosts)
    if public := urlsplit(settings.public_url).hostname:
        names.append(public)
    # On other addresses the names are unknown; there, authentication is required (or was declined).
    only_this_machine = is_loopback(settings.host)
    return AllowedHosts(
        names if settings.allowed_hosts or only_this_machine else ["*"], loopback=only_this_machine
    )


def client_limits_of(settings: Settings) -> ClientLimits:
    return ClientLimits(
        rate_limit=settings.rate_limit,
        auth_failures=settings.auth_failures,
        storage=settings.rate_limit_storage,
        max_per_address=settings.max_connections_per_address,
        max_per_caller=settings.max_connections_per_caller,
    )


def authenticator_of(
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


def sign_in_of(settings: Settings, provider: "Provider | None") -> SignIn:
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


def artifact_limits_of(settings: Settings) -> ArtifactLimits:
    return ArtifactLimits(
        settings.max_artifact_bytes, settings.max_artifacts_per_attempt, settings.max_artifact_bytes_per_run
    )


def artifact_urls_of(settings: Settings, repository: ActionRepo) -> ArtifactUrls:
    return ArtifactUrls(repository.artifacts.signing_key, settings.artifact_url_minutes * 60)


def reconciler_of(settings: Settings, repository: ActionRepo, supervisor: Supervisor) -> Reconciler:
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


def log_links_of(
    settings: Settings, client_limits: ClientLimits, allowed: AllowedAddresses
) -> LogLinkEndpoint:
    return LogLinkEndpoint(
        client_limits,
        allowed,
        LinkLimits(settings.log_link_timeout, settings.log_link_max_bytes),
        allows_private=settings.log_link_allow_private,
    )
