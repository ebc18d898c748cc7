"""The GraphQL operations that the client sends."""

_ERROR = "error { code message path }"

REPORT = f"mutation Report($reports: [ReportInput!]!) {{ report(reports: $reports) {{ results {{ {_ERROR} abort {{ state }} }} }} }}"  # noqa: E501
RENEW_LEASE = (
    "mutation RenewLease($runs: [RunIdentifierInput!]!, $executor: String!, $ttl: Int!) {"
    " renewLease(runs: $runs, executor: $executor, ttlSeconds: $ttl) {"
    " results { run { project domain name } aborts { name abort { reason } }"
    f" {_ERROR} }} }} }}"
)
CONFIRM = "mutation Confirm($id: ActionIdentifierInput!) { clearAbortRequest(id: $id) { action { phase } } }"
STORE_ARTIFACT = "mutation Store($input: StoreArtifactInput!) { storeArtifact(input: $input) { digest } }"
UPLOAD_ARTIFACT = (
    "mutation Upload($input: ArtifactUploadInput!) {"
    " createArtifactUpload(input: $input) { url headers { name value } } }"
)


def append_logs(count: int) -> str:
    """Appends to several logs, by variables named `a0`, `a1` and so on."""
    variables = ", ".join(f"$a{n}: AppendLogInput!" for n in range(count))
    fields = " ".join(f"a{n}: appendLog(input: $a{n}) {{ nextOffset }}" for n in range(count))
    return f"mutation Logs({variables}) {{ {fields} }}"
