"""The operations that commands send. What `--json` prints has the names of these fields."""

_ABORT = """abort {
  state reason requestedBy { kind subject name } requestedAt attemptCount nextAttemptAt lastError confirmedAt
}"""

_RUN_FIELDS = f"""
  id project domain name phase source labels {{ key value }} task {{ project domain name version }} taskType
  functionName environmentName createdBy {{ kind subject name }} attempts cacheStatus createdAt triggeredAt
  startedAt endedAt updatedAt durationMs revision executor leaseExpiresAt lastReportedAt {_ABORT}
  phaseCounts {{ phase count }} rootAction {{ name isLost progress {{ done total message reportedAt }} }}
"""

RUNS = f"""query Runs($filter: RunFilter, $first: Int!, $after: String) {{
  runs(filter: $filter, first: $first, after: $after) {{
    nodes {{ {_RUN_FIELDS} error {{ kind code summary }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

RUN_NAMES = """query RunNames($filter: RunFilter, $first: Int!) {
  runs(filter: $filter, first: $first) { nodes { project domain name } pageInfo { hasNextPage } }
}"""

ACTION_NAMES = """query ActionNames($run: RunIdentifierInput!, $filter: ActionFilter, $first: Int!) {
  actions(run: $run, filter: $filter, first: $first) { nodes { name } }
}"""

RUN = f"""query Run($run: RunIdentifierInput!) {{
  run(id: $run) {{ {_RUN_FIELDS} error {{ kind code summary message }} }}
}}"""

_ACTION_FIELDS = f"""
  id project domain runName name parentName type group phase isLost attempts cacheStatus
  task {{ project domain name version }} taskType functionName environmentName isPlaceholder
  progress {{ done total message reportedAt }} createdAt startedAt endedAt updatedAt durationMs revision
  {_ABORT}
"""

ACTIONS = f"""query Actions($run: RunIdentifierInput!, $after: String) {{
  actions(run: $run, first: 1000, after: $after) {{
    nodes {{ {_ACTION_FIELDS} error {{ kind code summary }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}"""

ACTION = f"""query Action($run: RunIdentifierInput!, $action: ActionIdentifierInput!) {{
  run(id: $run) {{ id }}
  action(id: $action) {{
    {_ACTION_FIELDS}
    error {{ kind code summary message }} dependencies state spec createdBy {{ kind subject name }}
    phaseCounts {{ phase count }} metrics {{ name unit last lastAt minimum maximum }}
    attemptHistory(last: 1000) {{
      attempt phase startedAt endedAt error {{ kind code summary message }} logs {{ name uri }} outputs
      cluster cacheStatus logSummary {{ lineCount byteCount firstError isTruncated }}
      phaseTransitions {{ phase startedAt endedAt }}
    }}
    artifacts(last: 1000) {{ attempt kind name mediaType size digest createdAt url }}
  }}
}}"""

EVENTS = """subscription Events($run: RunIdentifierInput!, $action: String, $after: String) {
  events(run: $run, actionName: $action, after: $after) {
    kind cursor
    events {
      id action { name } attempt phase version occurredAt reportedAt createdAt
      error { kind code summary message } logs { name uri } outputs cluster cacheStatus info
      clusterEvents { occurredAt message reason warning }
    }
  }
}"""

WATCH = """subscription Watch($run: RunIdentifierInput!, $after: String) {
  actions(run: $run, after: $after, untilTerminal: true) {
    kind cursor removed
    actions {
      id name parentName phase attempts revision createdAt startedAt endedAt updatedAt
      error { code summary }
      abort { state reason requestedBy { subject } attemptCount lastError }
    }
  }
}"""

RUN_STATE = """subscription RunState($run: RunIdentifierInput!) {
  run(id: $run, untilTerminal: true) { phase endedAt }
}"""

ATTEMPT = """query Attempt($run: RunIdentifierInput!, $action: ActionIdentifierInput!) {
  run(id: $run) { id }
  action(id: $action) { attempts attemptHistory(last: 1000) { attempt logs { name uri } } }
}"""

ROOT = "query Root($run: RunIdentifierInput!) { run(id: $run) { rootAction { name } } }"

ATTEMPT_STATE = """subscription AttemptState($action: ActionIdentifierInput!) {
  action(id: $action, untilTerminal: true) { phase endedAt attempts }
}"""

LOG_PAGE = """query LogPage(
  $action: ActionIdentifierInput!, $attempt: Int!, $stream: String, $search: String, $levels: [LogLevel!]
  $first: Int, $after: BigInt, $last: Int, $before: BigInt
) {
  logLines(
    action: $action, attempt: $attempt, stream: $stream, search: $search, levels: $levels
    first: $first, after: $after, last: $last, before: $before
  ) {
    lines { number stream at level text } omitted { first last reason } start end hasMore
  }
}"""

LOG_LINES = """subscription LogLines(
  $action: ActionIdentifierInput!, $attempt: Int!, $stream: String, $search: String, $levels: [LogLevel!]
  $after: BigInt
) {
  logLines(
    action: $action, attempt: $attempt, stream: $stream, search: $search, levels: $levels, after: $after
  ) {
    kind lines { number stream at level text } omitted { first last reason } end
  }
}"""

ABORT_RUN = f"""mutation AbortRun($run: RunIdentifierInput!, $reason: String) {{
  abortRun(input: {{id: $run, reason: $reason}}) {{ requested run {{ project domain name phase {_ABORT} }} }}
}}"""

ABORT_ACTION = f"""mutation AbortAction($action: ActionIdentifierInput!, $reason: String) {{
  abortAction(input: {{id: $action, reason: $reason}}) {{
    requested action {{ project domain runName name phase {_ABORT} }}
  }}
}}"""

ABORTS = """subscription Aborts($run: RunIdentifierInput!, $after: String) {
  actions(run: $run, after: $after) {
    kind cursor removed actions { id name parentName revision abort { state attemptCount lastError } }
  }
}"""
