"""The GraphQL operations of the read API. Fragments have the names of the classes that they fill."""

_IDENTITY = "fragment Identity on Identity { kind subject name email }\n"
_ERROR = "fragment ActionError on ActionError { kind code summary message(maxLength: $maxLength) }\n"
_TASK = "fragment TaskIdentifier on TaskIdentifier { project domain name version }\n"
_ABORT = """fragment Abort on Abort {
  state reason requestedBy { ...Identity } requestedAt attemptCount nextAttemptAt lastError confirmedAt }
"""
_SHARED = _IDENTITY + _ERROR + _TASK + _ABORT

_RUN = f"""fragment Run on Run {{
  id project domain name phase source labels {{ key value }} task {{ ...TaskIdentifier }} taskType
  functionName environmentName trigger {{ taskName name revision }} createdBy {{ ...Identity }}
  abort {{ ...Abort }} error {{ ...ActionError }} attempts cacheStatus createdAt triggeredAt startedAt
  endedAt updatedAt durationMs revision executor leaseExpiresAt lastReportedAt
  phaseCounts {{ phase count }} }}
{_SHARED}"""

_ACTION = f"""fragment Action on Action {{
  id project domain runName name parentName type group phase isLost attempts cacheStatus
  task {{ ...TaskIdentifier }} taskType functionName environmentName dependencies isPlaceholder
  progress {{ done total message reportedAt }} metrics {{ name unit last lastAt minimum maximum }}
  abort {{ ...Abort }} error {{ ...ActionError }} createdBy {{ ...Identity }} createdAt startedAt endedAt
  updatedAt durationMs revision }}
{_SHARED}"""

_EVENT = f"""fragment ActionEvent on ActionEvent {{
  id action {{ project domain runName name }} attempt phase version occurredAt reportedAt
  error {{ ...ActionError }} logs {{ name uri }} outputs cluster cacheStatus
  clusterEvents {{ occurredAt message reason warning }} info createdAt updatedAt }}
{_ERROR}"""

_LINE = "fragment LogLine on LogLine { number stream at level text }\n"
_ARTIFACT = """fragment Artifact on Artifact {
  attempt kind name mediaType digest size createdAt url json text }
"""

RUN = f"query Run($run: RunIdentifierInput!, $maxLength: Int) {{ run(id: $run) {{ ...Run }} }}\n{_RUN}"

RUNS = f"""query Runs(
  $filter: RunFilter, $orderBy: ActionOrder, $first: Int!, $after: String, $maxLength: Int) {{
  runs(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {{
    nodes {{ ...Run }} pageInfo {{ hasNextPage endCursor }} }} }}
{_RUN}"""

ROOT = "query Root($run: RunIdentifierInput!) { run(id: $run) { rootAction { name attempts } } }"

ACTION = f"""query Action($action: ActionIdentifierInput!, $maxLength: Int) {{
  action(id: $action) {{ ...Action }} }}
{_ACTION}"""

ACTIONS = f"""query Actions(
  $run: RunIdentifierInput!, $filter: ActionFilter, $orderBy: ActionOrder, $first: Int!, $after: String
  $maxLength: Int) {{
  run(id: $run) {{ actions(filter: $filter, orderBy: $orderBy, first: $first, after: $after) {{
    nodes {{ ...Action }} pageInfo {{ hasNextPage endCursor }} }} }} }}
{_ACTION}"""

ATTEMPT = """query Attempt($action: ActionIdentifierInput!) {
  action(id: $action) { attempts endedAt } }"""

LOG_LINES = f"""query LogLines(
  $action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt, $search: String, $stream: String
  $levels: [LogLevel!]) {{
  action(id: $action) {{ attempts endedAt }}
  logLines(action: $action, attempt: $attempt, first: 1000, after: $after, search: $search, stream: $stream
    levels: $levels) {{ lines {{ ...LogLine }} end hasMore }} }}
{_LINE}"""

ARTIFACTS = f"""query Artifacts($action: ActionIdentifierInput!, $attempt: Int, $kinds: [ArtifactKind!]) {{
  action(id: $action) {{ artifacts(attempt: $attempt, kinds: $kinds, last: 1000) {{ ...Artifact }} }} }}
{_ARTIFACT}"""

ABORT_RUN = f"""mutation AbortRun($input: AbortRunInput!, $maxLength: Int) {{
  abortRun(input: $input) {{ requested run {{ ...Run }} }} }}
{_RUN}"""

ABORT_ACTION = f"""mutation AbortAction($input: AbortActionInput!, $maxLength: Int) {{
  abortAction(input: $input) {{ requested action {{ ...Action }} }} }}
{_ACTION}"""

WATCH_ACTIONS = f"""subscription WatchActions(
  $run: RunIdentifierInput!, $filter: ActionFilter, $after: String, $maxLength: Int) {{
  actions(run: $run, filter: $filter, after: $after, untilTerminal: true) {{
    kind cursor removed actions {{ ...Action }} }} }}
{_ACTION}"""

WATCH_RUN = f"""subscription WatchRun($run: RunIdentifierInput!, $maxLength: Int) {{
  run(id: $run, untilTerminal: true) {{ ...Run }} }}
{_RUN}"""

EVENTS = f"""subscription Events(
  $run: RunIdentifierInput!, $actionName: String, $attempt: Int, $after: String, $maxLength: Int) {{
  events(run: $run, actionName: $actionName, attempt: $attempt, after: $after) {{
    kind cursor events {{ ...ActionEvent }} }} }}
{_EVENT}"""

WATCH_LOG = f"""subscription WatchLog(
  $action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt, $search: String, $stream: String
  $levels: [LogLevel!]) {{
  logLines(action: $action, attempt: $attempt, after: $after, search: $search, stream: $stream
    levels: $levels) {{ kind lines {{ ...LogLine }} end }} }}
{_LINE}"""
