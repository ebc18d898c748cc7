/* eslint-disable */
import * as types from './graphql';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  mutation AbortRun($input: AbortRunInput!) {\n    abortRun(input: $input) {\n      requested\n      run {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": typeof types.AbortRunDocument,
    "\n  mutation AbortAction($input: AbortActionInput!) {\n    abortAction(input: $input) {\n      requested\n      action {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": typeof types.AbortActionDocument,
    "\n  mutation AbortRuns($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n      requested\n      batch\n    }\n  }\n": typeof types.AbortRunsDocument,
    "\n  fragment AbortNotice on Abort {\n    state\n    reason\n    requestedBy {\n      subject\n      name\n    }\n    requestedAt\n    attemptCount\n    nextAttemptAt\n    lastError\n    confirmedAt\n  }\n": typeof types.AbortNoticeFragmentDoc,
    "\n  mutation RetryAbort($id: ActionIdentifierInput!) {\n    retryAbort(id: $id) {\n      requested\n      action {\n        id\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": typeof types.RetryAbortDocument,
    "\n  query PendingAborts($first: Int!) {\n    pendingAborts(first: $first) {\n      totalCount\n      nodes {\n        id\n        project\n        domain\n        runName\n        name\n        parentName\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": typeof types.PendingAbortsDocument,
    "\n  subscription AbortProgressOf($batch: ID!) {\n    abortProgress(batch: $batch) {\n      requested\n      pending\n      confirmed\n      failed\n    }\n  }\n": typeof types.AbortProgressOfDocument,
    "\n  mutation CountAbortable($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n    }\n  }\n": typeof types.CountAbortableDocument,
    "\n  fragment ActionDetails on Action {\n    type\n    group\n    taskType\n    functionName\n    environmentName\n    task {\n      name\n      version\n    }\n    createdBy {\n      subject\n      name\n    }\n    createdAt\n    startedAt\n    endedAt\n    dependencies\n  }\n": typeof types.ActionDetailsFragmentDoc,
    "\n  fragment ErrorBox on ActionError {\n    kind\n    code\n    summary\n  }\n": typeof types.ErrorBoxFragmentDoc,
    "\n  query ErrorOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      error {\n        ...ErrorBox\n        message\n      }\n    }\n  }\n": typeof types.ErrorOfDocument,
    "\n  query ActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n    }\n  }\n": typeof types.ActionOfDocument,
    "\n  subscription LiveActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n      # A new event is a change as well.\n      latest: events(last: 1) {\n        nodes {\n          id\n        }\n      }\n    }\n  }\n": typeof types.LiveActionOfDocument,
    "\n  query SpecOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      spec\n    }\n  }\n": typeof types.SpecOfDocument,
    "\n  query StateOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      state\n    }\n  }\n": typeof types.StateOfDocument,
    "\n  query AttemptsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      startedAt\n      endedAt\n      error {\n        code\n        summary\n      }\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n        cluster\n        cacheStatus\n        outputs\n        error {\n          ...ErrorBox\n          message(maxLength: 20000)\n        }\n        logs {\n          name\n          uri\n          isReadable\n        }\n        clusterEvents {\n          occurredAt\n          message\n          reason\n          warning\n        }\n        phaseTransitions {\n          phase\n          startedAt\n          endedAt\n        }\n      }\n    }\n  }\n": typeof types.AttemptsOfDocument,
    "\n  query EventsOf($id: ActionIdentifierInput!, $last: Int!) {\n    action(id: $id) {\n      id\n      events(last: $last) {\n        pageInfo {\n          hasPreviousPage\n        }\n        nodes {\n          id\n          attempt\n          phase\n          version\n          occurredAt\n          reportedAt\n          info\n          error {\n            code\n            summary\n          }\n          clusterEvents {\n            message\n            reason\n          }\n        }\n      }\n    }\n  }\n": typeof types.EventsOfDocument,
    "\n  query MetricsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      metrics {\n        name\n        unit\n        last\n        lastAt\n        minimum\n        maximum\n        series {\n          at\n          value\n        }\n      }\n    }\n  }\n": typeof types.MetricsOfDocument,
    "\n  fragment ProgressLine on Progress {\n    done\n    total\n    message\n  }\n": typeof types.ProgressLineFragmentDoc,
    "\n  query AttemptTimes($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n      }\n    }\n  }\n": typeof types.AttemptTimesDocument,
    "\n  fragment ActionRow on Action {\n    id\n    revision\n    name\n    parentName\n    group\n    type\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    progress {\n      ...ProgressLine\n    }\n    metrics @include(if: $withMetrics) {\n      name\n      unit\n      last\n    }\n    functionName\n    dependencies\n    createdAt\n    startedAt\n    endedAt\n    error {\n      code\n      summary\n    }\n    abort {\n      state\n    }\n  }\n": typeof types.ActionRowFragmentDoc,
    "\n  subscription WatchActions($run: RunIdentifierInput!, $after: String, $withMetrics: Boolean!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      removed\n      actions {\n        ...ActionRow\n      }\n    }\n  }\n": typeof types.WatchActionsDocument,
    "\n  fragment ActionView on Action {\n    id\n    project\n    domain\n    runName\n    name\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    createdAt\n    startedAt\n    endedAt\n    progress {\n      ...ProgressLine\n    }\n    metrics {\n      name\n      lastAt\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...ActionNotes\n    links {\n      name\n      url\n    }\n    ...ActionDetails\n  }\n": typeof types.ActionViewFragmentDoc,
    "\n  query ArtifactsOf($id: ActionIdentifierInput!, $attempt: Int) {\n    action(id: $id) {\n      id\n      attempts\n      artifacts(attempt: $attempt, last: 1000) {\n        attempt\n        kind\n        name\n        mediaType\n        digest\n        size\n        createdAt\n        url\n      }\n    }\n  }\n": typeof types.ArtifactsOfDocument,
    "\n  fragment RunNeighbours on Run {\n    id\n    project\n    domain\n    name\n    phase\n    cursor\n    functionName\n    task {\n      name\n      version\n    }\n    createdAt\n    durationMs\n  }\n": typeof types.RunNeighboursFragmentDoc,
    "\n  fragment HistoryRun on Run {\n    id\n    project\n    domain\n    name\n    phase\n    createdAt\n    durationMs\n    task {\n      name\n      version\n    }\n    error {\n      code\n      summary\n    }\n  }\n": typeof types.HistoryRunFragmentDoc,
    "\n  query Neighbours($filter: RunFilter!, $cursor: String!) {\n    earlier: runs(filter: $filter, after: $cursor, first: 100) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n    later: runs(filter: $filter, before: $cursor, last: 1) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n  }\n": typeof types.NeighboursDocument,
    "\n  query ViewerOf {\n    viewer {\n      identity {\n        kind\n        subject\n        name\n        email\n      }\n      grants {\n        role\n        project\n        domain\n      }\n    }\n  }\n": typeof types.ViewerOfDocument,
    "\n  query LoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n": typeof types.LoggedActionOfDocument,
    "\n  subscription LiveLoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n": typeof types.LiveLoggedActionOfDocument,
    "\n  fragment LogLine on LogLine {\n    number\n    stream\n    at\n    level\n    text\n  }\n": typeof types.LogLineFragmentDoc,
    "\n  query LogLinesOf(\n    $action: ActionIdentifierInput!\n    $attempt: Int!\n    $stream: String\n    $after: BigInt\n    $first: Int\n    $before: BigInt\n    $last: Int\n    $search: String\n    $levels: [LogLevel!]\n  ) {\n    logLines(\n      action: $action\n      attempt: $attempt\n      stream: $stream\n      after: $after\n      first: $first\n      before: $before\n      last: $last\n      search: $search\n      levels: $levels\n    ) {\n      lines {\n        ...LogLine\n      }\n      start\n      end\n      hasMore\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n": typeof types.LogLinesOfDocument,
    "\n  subscription WatchLogLines($action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt) {\n    logLines(action: $action, attempt: $attempt, after: $after) {\n      lines {\n        ...LogLine\n      }\n      end\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n": typeof types.WatchLogLinesDocument,
    "\n  query LogsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      attemptHistory {\n        attempt\n        phase\n        logs {\n          name\n          uri\n          isReadable\n        }\n        logSummary {\n          lineCount\n          streams {\n            name\n          }\n        }\n      }\n    }\n  }\n": typeof types.LogsOfDocument,
    "\n  fragment NoteSign on Run {\n    noteCount\n    lastNote {\n      id\n      text\n      author {\n        subject\n        name\n      }\n    }\n  }\n": typeof types.NoteSignFragmentDoc,
    "\n  fragment NoteView on Note {\n    id\n    text\n    author {\n      kind\n      subject\n      name\n    }\n    createdAt\n    editedAt\n  }\n": typeof types.NoteViewFragmentDoc,
    "\n  query NotesOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      notes {\n        ...NoteView\n      }\n    }\n  }\n": typeof types.NotesOfDocument,
    "\n  mutation AddNote($input: AddNoteInput!) {\n    addNote(input: $input) {\n      ...NoteView\n    }\n  }\n": typeof types.AddNoteDocument,
    "\n  mutation UpdateNote($id: ID!, $text: String!) {\n    updateNote(id: $id, text: $text) {\n      ...NoteView\n    }\n  }\n": typeof types.UpdateNoteDocument,
    "\n  mutation DeleteNote($id: ID!) {\n    deleteNote(id: $id) {\n      deleted\n    }\n  }\n": typeof types.DeleteNoteDocument,
    "\n  fragment RunNotes on Run {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n": typeof types.RunNotesFragmentDoc,
    "\n  fragment ActionNotes on Action {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n": typeof types.ActionNotesFragmentDoc,
    "\n  query RunHistogram($filter: RunFilter, $startDate: DateTime!, $endDate: DateTime!, $buckets: Int!) {\n    runHistogram(filter: $filter, startDate: $startDate, endDate: $endDate, buckets: $buckets) {\n      startDate\n      endDate\n      phaseCounts {\n        phase\n        count\n      }\n    }\n  }\n": typeof types.RunHistogramDocument,
    "\n  query LeaseOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      executor\n      leaseExpiresAt\n      lastReportedAt\n    }\n  }\n": typeof types.LeaseOfDocument,
    "\n  query Projects {\n    projects {\n      name\n      domains\n    }\n  }\n": typeof types.ProjectsDocument,
    "\n  fragment RunFailure on Run {\n    id\n    project\n    domain\n    name\n    phase\n    functionName\n    task {\n      name\n      version\n    }\n    cursor\n    createdAt\n    error {\n      code\n      summary\n    }\n  }\n": typeof types.RunFailureFragmentDoc,
    "\n  fragment RunHeader on Run {\n    id\n    project\n    domain\n    name\n    phase\n    attempts\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    environmentName\n    trigger {\n      taskName\n      name\n      revision\n    }\n    createdBy {\n      kind\n      subject\n      name\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...RunNotes\n    links {\n      name\n      url\n    }\n    executor\n    rootAction {\n      id\n      name\n      isLost\n      isPlaceholder\n      progress {\n        ...ProgressLine\n      }\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n  }\n": typeof types.RunHeaderFragmentDoc,
    "\n  query RunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n": typeof types.RunOfDocument,
    "\n  subscription LiveRunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n": typeof types.LiveRunOfDocument,
    "\n  fragment RunRow on Run {\n    id\n    project\n    domain\n    name\n    phase\n    revision\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    createdBy {\n      kind\n      subject\n      name\n    }\n    abort {\n      state\n      attemptCount\n    }\n    ...NoteSign\n    error {\n      code\n      summary\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n    rootAction @include(if: $withProgress) {\n      id\n      progress {\n        ...ProgressLine\n      }\n      metrics {\n        name\n        unit\n        last\n      }\n    }\n  }\n": typeof types.RunRowFragmentDoc,
    "\n  subscription WatchRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      kind\n      cursor\n      removed\n      runs {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n": typeof types.WatchRunsDocument,
    "\n  query OlderRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n": typeof types.OlderRunsDocument,
    "\n  query FindRuns($search: String!) {\n    runs(filter: { search: $search }, first: 8) {\n      nodes {\n        id\n        project\n        domain\n        name\n        phase\n        functionName\n        task {\n          name\n        }\n      }\n    }\n  }\n": typeof types.FindRunsDocument,
    "\n  query FoundColumns($run: RunIdentifierInput!, $filter: ActionFilter) {\n    actionColumns(run: $run, filter: $filter) {\n      searched\n      columns {\n        source\n        path\n        actions\n        numbers\n        distinct\n        unit\n      }\n    }\n  }\n": typeof types.FoundColumnsDocument,
    "\n  subscription WatchValues($run: RunIdentifierInput!, $after: String, $columns: [ActionColumnInput!]!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      actions {\n        name\n        columnValues(columns: $columns)\n      }\n    }\n  }\n": typeof types.WatchValuesDocument,
    "\n  fragment TaskRow on TaskSummary {\n    project\n    domain\n    taskName\n    functionName\n    runs\n    ended\n    failed\n    failureRate\n    durationP50Ms\n    durationP95Ms\n    lastCreatedAt\n    phaseCounts {\n      phase\n      count\n    }\n    recentRuns(first: 20) {\n      id\n      project\n      domain\n      name\n      phase\n      durationMs\n    }\n  }\n": typeof types.TaskRowFragmentDoc,
    "\n  query TaskSummaries($filter: RunFilter, $first: Int!) {\n    tasks(filter: $filter, first: $first) {\n      pageInfo {\n        hasNextPage\n      }\n      nodes {\n        ...TaskRow\n      }\n    }\n  }\n": typeof types.TaskSummariesDocument,
    "\n  query TaskGrid($filter: RunFilter!, $runs: Int!, $first: Int!) {\n    runGrid(filter: $filter, runs: $runs, first: $first) {\n      isComplete\n      runs {\n        id\n        project\n        domain\n        name\n        phase\n        cursor\n        createdAt\n        startedAt\n        endedAt\n        durationMs\n        functionName\n        task {\n          name\n          version\n        }\n        error {\n          code\n          summary\n        }\n      }\n      rows {\n        kind\n        name\n        depth\n        cells {\n          run\n          name\n          phase\n          actions\n          failed\n          startedAt\n          endedAt\n          error {\n            code\n            summary\n          }\n        }\n      }\n    }\n  }\n": typeof types.TaskGridDocument,
    "\n  subscription TaskChanges($filter: RunFilter!, $runs: Int!, $after: String) {\n    runs(filter: $filter, first: $runs, after: $after) {\n      kind\n      cursor\n      runs {\n        id\n        rootAction {\n          id\n        }\n      }\n    }\n  }\n": typeof types.TaskChangesDocument,
};
const documents: Documents = {
    "\n  mutation AbortRun($input: AbortRunInput!) {\n    abortRun(input: $input) {\n      requested\n      run {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": types.AbortRunDocument,
    "\n  mutation AbortAction($input: AbortActionInput!) {\n    abortAction(input: $input) {\n      requested\n      action {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": types.AbortActionDocument,
    "\n  mutation AbortRuns($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n      requested\n      batch\n    }\n  }\n": types.AbortRunsDocument,
    "\n  fragment AbortNotice on Abort {\n    state\n    reason\n    requestedBy {\n      subject\n      name\n    }\n    requestedAt\n    attemptCount\n    nextAttemptAt\n    lastError\n    confirmedAt\n  }\n": types.AbortNoticeFragmentDoc,
    "\n  mutation RetryAbort($id: ActionIdentifierInput!) {\n    retryAbort(id: $id) {\n      requested\n      action {\n        id\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": types.RetryAbortDocument,
    "\n  query PendingAborts($first: Int!) {\n    pendingAborts(first: $first) {\n      totalCount\n      nodes {\n        id\n        project\n        domain\n        runName\n        name\n        parentName\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n": types.PendingAbortsDocument,
    "\n  subscription AbortProgressOf($batch: ID!) {\n    abortProgress(batch: $batch) {\n      requested\n      pending\n      confirmed\n      failed\n    }\n  }\n": types.AbortProgressOfDocument,
    "\n  mutation CountAbortable($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n    }\n  }\n": types.CountAbortableDocument,
    "\n  fragment ActionDetails on Action {\n    type\n    group\n    taskType\n    functionName\n    environmentName\n    task {\n      name\n      version\n    }\n    createdBy {\n      subject\n      name\n    }\n    createdAt\n    startedAt\n    endedAt\n    dependencies\n  }\n": types.ActionDetailsFragmentDoc,
    "\n  fragment ErrorBox on ActionError {\n    kind\n    code\n    summary\n  }\n": types.ErrorBoxFragmentDoc,
    "\n  query ErrorOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      error {\n        ...ErrorBox\n        message\n      }\n    }\n  }\n": types.ErrorOfDocument,
    "\n  query ActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n    }\n  }\n": types.ActionOfDocument,
    "\n  subscription LiveActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n      # A new event is a change as well.\n      latest: events(last: 1) {\n        nodes {\n          id\n        }\n      }\n    }\n  }\n": types.LiveActionOfDocument,
    "\n  query SpecOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      spec\n    }\n  }\n": types.SpecOfDocument,
    "\n  query StateOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      state\n    }\n  }\n": types.StateOfDocument,
    "\n  query AttemptsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      startedAt\n      endedAt\n      error {\n        code\n        summary\n      }\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n        cluster\n        cacheStatus\n        outputs\n        error {\n          ...ErrorBox\n          message(maxLength: 20000)\n        }\n        logs {\n          name\n          uri\n          isReadable\n        }\n        clusterEvents {\n          occurredAt\n          message\n          reason\n          warning\n        }\n        phaseTransitions {\n          phase\n          startedAt\n          endedAt\n        }\n      }\n    }\n  }\n": types.AttemptsOfDocument,
    "\n  query EventsOf($id: ActionIdentifierInput!, $last: Int!) {\n    action(id: $id) {\n      id\n      events(last: $last) {\n        pageInfo {\n          hasPreviousPage\n        }\n        nodes {\n          id\n          attempt\n          phase\n          version\n          occurredAt\n          reportedAt\n          info\n          error {\n            code\n            summary\n          }\n          clusterEvents {\n            message\n            reason\n          }\n        }\n      }\n    }\n  }\n": types.EventsOfDocument,
    "\n  query MetricsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      metrics {\n        name\n        unit\n        last\n        lastAt\n        minimum\n        maximum\n        series {\n          at\n          value\n        }\n      }\n    }\n  }\n": types.MetricsOfDocument,
    "\n  fragment ProgressLine on Progress {\n    done\n    total\n    message\n  }\n": types.ProgressLineFragmentDoc,
    "\n  query AttemptTimes($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n      }\n    }\n  }\n": types.AttemptTimesDocument,
    "\n  fragment ActionRow on Action {\n    id\n    revision\n    name\n    parentName\n    group\n    type\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    progress {\n      ...ProgressLine\n    }\n    metrics @include(if: $withMetrics) {\n      name\n      unit\n      last\n    }\n    functionName\n    dependencies\n    createdAt\n    startedAt\n    endedAt\n    error {\n      code\n      summary\n    }\n    abort {\n      state\n    }\n  }\n": types.ActionRowFragmentDoc,
    "\n  subscription WatchActions($run: RunIdentifierInput!, $after: String, $withMetrics: Boolean!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      removed\n      actions {\n        ...ActionRow\n      }\n    }\n  }\n": types.WatchActionsDocument,
    "\n  fragment ActionView on Action {\n    id\n    project\n    domain\n    runName\n    name\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    createdAt\n    startedAt\n    endedAt\n    progress {\n      ...ProgressLine\n    }\n    metrics {\n      name\n      lastAt\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...ActionNotes\n    links {\n      name\n      url\n    }\n    ...ActionDetails\n  }\n": types.ActionViewFragmentDoc,
    "\n  query ArtifactsOf($id: ActionIdentifierInput!, $attempt: Int) {\n    action(id: $id) {\n      id\n      attempts\n      artifacts(attempt: $attempt, last: 1000) {\n        attempt\n        kind\n        name\n        mediaType\n        digest\n        size\n        createdAt\n        url\n      }\n    }\n  }\n": types.ArtifactsOfDocument,
    "\n  fragment RunNeighbours on Run {\n    id\n    project\n    domain\n    name\n    phase\n    cursor\n    functionName\n    task {\n      name\n      version\n    }\n    createdAt\n    durationMs\n  }\n": types.RunNeighboursFragmentDoc,
    "\n  fragment HistoryRun on Run {\n    id\n    project\n    domain\n    name\n    phase\n    createdAt\n    durationMs\n    task {\n      name\n      version\n    }\n    error {\n      code\n      summary\n    }\n  }\n": types.HistoryRunFragmentDoc,
    "\n  query Neighbours($filter: RunFilter!, $cursor: String!) {\n    earlier: runs(filter: $filter, after: $cursor, first: 100) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n    later: runs(filter: $filter, before: $cursor, last: 1) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n  }\n": types.NeighboursDocument,
    "\n  query ViewerOf {\n    viewer {\n      identity {\n        kind\n        subject\n        name\n        email\n      }\n      grants {\n        role\n        project\n        domain\n      }\n    }\n  }\n": types.ViewerOfDocument,
    "\n  query LoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n": types.LoggedActionOfDocument,
    "\n  subscription LiveLoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n": types.LiveLoggedActionOfDocument,
    "\n  fragment LogLine on LogLine {\n    number\n    stream\n    at\n    level\n    text\n  }\n": types.LogLineFragmentDoc,
    "\n  query LogLinesOf(\n    $action: ActionIdentifierInput!\n    $attempt: Int!\n    $stream: String\n    $after: BigInt\n    $first: Int\n    $before: BigInt\n    $last: Int\n    $search: String\n    $levels: [LogLevel!]\n  ) {\n    logLines(\n      action: $action\n      attempt: $attempt\n      stream: $stream\n      after: $after\n      first: $first\n      before: $before\n      last: $last\n      search: $search\n      levels: $levels\n    ) {\n      lines {\n        ...LogLine\n      }\n      start\n      end\n      hasMore\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n": types.LogLinesOfDocument,
    "\n  subscription WatchLogLines($action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt) {\n    logLines(action: $action, attempt: $attempt, after: $after) {\n      lines {\n        ...LogLine\n      }\n      end\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n": types.WatchLogLinesDocument,
    "\n  query LogsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      attemptHistory {\n        attempt\n        phase\n        logs {\n          name\n          uri\n          isReadable\n        }\n        logSummary {\n          lineCount\n          streams {\n            name\n          }\n        }\n      }\n    }\n  }\n": types.LogsOfDocument,
    "\n  fragment NoteSign on Run {\n    noteCount\n    lastNote {\n      id\n      text\n      author {\n        subject\n        name\n      }\n    }\n  }\n": types.NoteSignFragmentDoc,
    "\n  fragment NoteView on Note {\n    id\n    text\n    author {\n      kind\n      subject\n      name\n    }\n    createdAt\n    editedAt\n  }\n": types.NoteViewFragmentDoc,
    "\n  query NotesOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      notes {\n        ...NoteView\n      }\n    }\n  }\n": types.NotesOfDocument,
    "\n  mutation AddNote($input: AddNoteInput!) {\n    addNote(input: $input) {\n      ...NoteView\n    }\n  }\n": types.AddNoteDocument,
    "\n  mutation UpdateNote($id: ID!, $text: String!) {\n    updateNote(id: $id, text: $text) {\n      ...NoteView\n    }\n  }\n": types.UpdateNoteDocument,
    "\n  mutation DeleteNote($id: ID!) {\n    deleteNote(id: $id) {\n      deleted\n    }\n  }\n": types.DeleteNoteDocument,
    "\n  fragment RunNotes on Run {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n": types.RunNotesFragmentDoc,
    "\n  fragment ActionNotes on Action {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n": types.ActionNotesFragmentDoc,
    "\n  query RunHistogram($filter: RunFilter, $startDate: DateTime!, $endDate: DateTime!, $buckets: Int!) {\n    runHistogram(filter: $filter, startDate: $startDate, endDate: $endDate, buckets: $buckets) {\n      startDate\n      endDate\n      phaseCounts {\n        phase\n        count\n      }\n    }\n  }\n": types.RunHistogramDocument,
    "\n  query LeaseOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      executor\n      leaseExpiresAt\n      lastReportedAt\n    }\n  }\n": types.LeaseOfDocument,
    "\n  query Projects {\n    projects {\n      name\n      domains\n    }\n  }\n": types.ProjectsDocument,
    "\n  fragment RunFailure on Run {\n    id\n    project\n    domain\n    name\n    phase\n    functionName\n    task {\n      name\n      version\n    }\n    cursor\n    createdAt\n    error {\n      code\n      summary\n    }\n  }\n": types.RunFailureFragmentDoc,
    "\n  fragment RunHeader on Run {\n    id\n    project\n    domain\n    name\n    phase\n    attempts\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    environmentName\n    trigger {\n      taskName\n      name\n      revision\n    }\n    createdBy {\n      kind\n      subject\n      name\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...RunNotes\n    links {\n      name\n      url\n    }\n    executor\n    rootAction {\n      id\n      name\n      isLost\n      isPlaceholder\n      progress {\n        ...ProgressLine\n      }\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n  }\n": types.RunHeaderFragmentDoc,
    "\n  query RunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n": types.RunOfDocument,
    "\n  subscription LiveRunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n": types.LiveRunOfDocument,
    "\n  fragment RunRow on Run {\n    id\n    project\n    domain\n    name\n    phase\n    revision\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    createdBy {\n      kind\n      subject\n      name\n    }\n    abort {\n      state\n      attemptCount\n    }\n    ...NoteSign\n    error {\n      code\n      summary\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n    rootAction @include(if: $withProgress) {\n      id\n      progress {\n        ...ProgressLine\n      }\n      metrics {\n        name\n        unit\n        last\n      }\n    }\n  }\n": types.RunRowFragmentDoc,
    "\n  subscription WatchRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      kind\n      cursor\n      removed\n      runs {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n": types.WatchRunsDocument,
    "\n  query OlderRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n": types.OlderRunsDocument,
    "\n  query FindRuns($search: String!) {\n    runs(filter: { search: $search }, first: 8) {\n      nodes {\n        id\n        project\n        domain\n        name\n        phase\n        functionName\n        task {\n          name\n        }\n      }\n    }\n  }\n": types.FindRunsDocument,
    "\n  query FoundColumns($run: RunIdentifierInput!, $filter: ActionFilter) {\n    actionColumns(run: $run, filter: $filter) {\n      searched\n      columns {\n        source\n        path\n        actions\n        numbers\n        distinct\n        unit\n      }\n    }\n  }\n": types.FoundColumnsDocument,
    "\n  subscription WatchValues($run: RunIdentifierInput!, $after: String, $columns: [ActionColumnInput!]!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      actions {\n        name\n        columnValues(columns: $columns)\n      }\n    }\n  }\n": types.WatchValuesDocument,
    "\n  fragment TaskRow on TaskSummary {\n    project\n    domain\n    taskName\n    functionName\n    runs\n    ended\n    failed\n    failureRate\n    durationP50Ms\n    durationP95Ms\n    lastCreatedAt\n    phaseCounts {\n      phase\n      count\n    }\n    recentRuns(first: 20) {\n      id\n      project\n      domain\n      name\n      phase\n      durationMs\n    }\n  }\n": types.TaskRowFragmentDoc,
    "\n  query TaskSummaries($filter: RunFilter, $first: Int!) {\n    tasks(filter: $filter, first: $first) {\n      pageInfo {\n        hasNextPage\n      }\n      nodes {\n        ...TaskRow\n      }\n    }\n  }\n": types.TaskSummariesDocument,
    "\n  query TaskGrid($filter: RunFilter!, $runs: Int!, $first: Int!) {\n    runGrid(filter: $filter, runs: $runs, first: $first) {\n      isComplete\n      runs {\n        id\n        project\n        domain\n        name\n        phase\n        cursor\n        createdAt\n        startedAt\n        endedAt\n        durationMs\n        functionName\n        task {\n          name\n          version\n        }\n        error {\n          code\n          summary\n        }\n      }\n      rows {\n        kind\n        name\n        depth\n        cells {\n          run\n          name\n          phase\n          actions\n          failed\n          startedAt\n          endedAt\n          error {\n            code\n            summary\n          }\n        }\n      }\n    }\n  }\n": types.TaskGridDocument,
    "\n  subscription TaskChanges($filter: RunFilter!, $runs: Int!, $after: String) {\n    runs(filter: $filter, first: $runs, after: $after) {\n      kind\n      cursor\n      runs {\n        id\n        rootAction {\n          id\n        }\n      }\n    }\n  }\n": types.TaskChangesDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AbortRun($input: AbortRunInput!) {\n    abortRun(input: $input) {\n      requested\n      run {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation AbortRun($input: AbortRunInput!) {\n    abortRun(input: $input) {\n      requested\n      run {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AbortAction($input: AbortActionInput!) {\n    abortAction(input: $input) {\n      requested\n      action {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation AbortAction($input: AbortActionInput!) {\n    abortAction(input: $input) {\n      requested\n      action {\n        id\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AbortRuns($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n      requested\n      batch\n    }\n  }\n"): (typeof documents)["\n  mutation AbortRuns($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n      requested\n      batch\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment AbortNotice on Abort {\n    state\n    reason\n    requestedBy {\n      subject\n      name\n    }\n    requestedAt\n    attemptCount\n    nextAttemptAt\n    lastError\n    confirmedAt\n  }\n"): (typeof documents)["\n  fragment AbortNotice on Abort {\n    state\n    reason\n    requestedBy {\n      subject\n      name\n    }\n    requestedAt\n    attemptCount\n    nextAttemptAt\n    lastError\n    confirmedAt\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation RetryAbort($id: ActionIdentifierInput!) {\n    retryAbort(id: $id) {\n      requested\n      action {\n        id\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation RetryAbort($id: ActionIdentifierInput!) {\n    retryAbort(id: $id) {\n      requested\n      action {\n        id\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query PendingAborts($first: Int!) {\n    pendingAborts(first: $first) {\n      totalCount\n      nodes {\n        id\n        project\n        domain\n        runName\n        name\n        parentName\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query PendingAborts($first: Int!) {\n    pendingAborts(first: $first) {\n      totalCount\n      nodes {\n        id\n        project\n        domain\n        runName\n        name\n        parentName\n        phase\n        abort {\n          ...AbortNotice\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription AbortProgressOf($batch: ID!) {\n    abortProgress(batch: $batch) {\n      requested\n      pending\n      confirmed\n      failed\n    }\n  }\n"): (typeof documents)["\n  subscription AbortProgressOf($batch: ID!) {\n    abortProgress(batch: $batch) {\n      requested\n      pending\n      confirmed\n      failed\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CountAbortable($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n    }\n  }\n"): (typeof documents)["\n  mutation CountAbortable($input: AbortRunsInput!) {\n    abortRuns(input: $input) {\n      matched\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ActionDetails on Action {\n    type\n    group\n    taskType\n    functionName\n    environmentName\n    task {\n      name\n      version\n    }\n    createdBy {\n      subject\n      name\n    }\n    createdAt\n    startedAt\n    endedAt\n    dependencies\n  }\n"): (typeof documents)["\n  fragment ActionDetails on Action {\n    type\n    group\n    taskType\n    functionName\n    environmentName\n    task {\n      name\n      version\n    }\n    createdBy {\n      subject\n      name\n    }\n    createdAt\n    startedAt\n    endedAt\n    dependencies\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ErrorBox on ActionError {\n    kind\n    code\n    summary\n  }\n"): (typeof documents)["\n  fragment ErrorBox on ActionError {\n    kind\n    code\n    summary\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ErrorOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      error {\n        ...ErrorBox\n        message\n      }\n    }\n  }\n"): (typeof documents)["\n  query ErrorOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      error {\n        ...ErrorBox\n        message\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n    }\n  }\n"): (typeof documents)["\n  query ActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription LiveActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n      # A new event is a change as well.\n      latest: events(last: 1) {\n        nodes {\n          id\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription LiveActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      ...ActionView\n      # A new event is a change as well.\n      latest: events(last: 1) {\n        nodes {\n          id\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query SpecOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      spec\n    }\n  }\n"): (typeof documents)["\n  query SpecOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      spec\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query StateOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      state\n    }\n  }\n"): (typeof documents)["\n  query StateOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      state\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AttemptsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      startedAt\n      endedAt\n      error {\n        code\n        summary\n      }\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n        cluster\n        cacheStatus\n        outputs\n        error {\n          ...ErrorBox\n          message(maxLength: 20000)\n        }\n        logs {\n          name\n          uri\n          isReadable\n        }\n        clusterEvents {\n          occurredAt\n          message\n          reason\n          warning\n        }\n        phaseTransitions {\n          phase\n          startedAt\n          endedAt\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query AttemptsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      startedAt\n      endedAt\n      error {\n        code\n        summary\n      }\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n        cluster\n        cacheStatus\n        outputs\n        error {\n          ...ErrorBox\n          message(maxLength: 20000)\n        }\n        logs {\n          name\n          uri\n          isReadable\n        }\n        clusterEvents {\n          occurredAt\n          message\n          reason\n          warning\n        }\n        phaseTransitions {\n          phase\n          startedAt\n          endedAt\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query EventsOf($id: ActionIdentifierInput!, $last: Int!) {\n    action(id: $id) {\n      id\n      events(last: $last) {\n        pageInfo {\n          hasPreviousPage\n        }\n        nodes {\n          id\n          attempt\n          phase\n          version\n          occurredAt\n          reportedAt\n          info\n          error {\n            code\n            summary\n          }\n          clusterEvents {\n            message\n            reason\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query EventsOf($id: ActionIdentifierInput!, $last: Int!) {\n    action(id: $id) {\n      id\n      events(last: $last) {\n        pageInfo {\n          hasPreviousPage\n        }\n        nodes {\n          id\n          attempt\n          phase\n          version\n          occurredAt\n          reportedAt\n          info\n          error {\n            code\n            summary\n          }\n          clusterEvents {\n            message\n            reason\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query MetricsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      metrics {\n        name\n        unit\n        last\n        lastAt\n        minimum\n        maximum\n        series {\n          at\n          value\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query MetricsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      metrics {\n        name\n        unit\n        last\n        lastAt\n        minimum\n        maximum\n        series {\n          at\n          value\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ProgressLine on Progress {\n    done\n    total\n    message\n  }\n"): (typeof documents)["\n  fragment ProgressLine on Progress {\n    done\n    total\n    message\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AttemptTimes($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n      }\n    }\n  }\n"): (typeof documents)["\n  query AttemptTimes($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      attemptHistory {\n        attempt\n        phase\n        startedAt\n        endedAt\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ActionRow on Action {\n    id\n    revision\n    name\n    parentName\n    group\n    type\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    progress {\n      ...ProgressLine\n    }\n    metrics @include(if: $withMetrics) {\n      name\n      unit\n      last\n    }\n    functionName\n    dependencies\n    createdAt\n    startedAt\n    endedAt\n    error {\n      code\n      summary\n    }\n    abort {\n      state\n    }\n  }\n"): (typeof documents)["\n  fragment ActionRow on Action {\n    id\n    revision\n    name\n    parentName\n    group\n    type\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    progress {\n      ...ProgressLine\n    }\n    metrics @include(if: $withMetrics) {\n      name\n      unit\n      last\n    }\n    functionName\n    dependencies\n    createdAt\n    startedAt\n    endedAt\n    error {\n      code\n      summary\n    }\n    abort {\n      state\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription WatchActions($run: RunIdentifierInput!, $after: String, $withMetrics: Boolean!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      removed\n      actions {\n        ...ActionRow\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription WatchActions($run: RunIdentifierInput!, $after: String, $withMetrics: Boolean!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      removed\n      actions {\n        ...ActionRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ActionView on Action {\n    id\n    project\n    domain\n    runName\n    name\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    createdAt\n    startedAt\n    endedAt\n    progress {\n      ...ProgressLine\n    }\n    metrics {\n      name\n      lastAt\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...ActionNotes\n    links {\n      name\n      url\n    }\n    ...ActionDetails\n  }\n"): (typeof documents)["\n  fragment ActionView on Action {\n    id\n    project\n    domain\n    runName\n    name\n    phase\n    attempts\n    cacheStatus\n    isPlaceholder\n    isLost\n    createdAt\n    startedAt\n    endedAt\n    progress {\n      ...ProgressLine\n    }\n    metrics {\n      name\n      lastAt\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...ActionNotes\n    links {\n      name\n      url\n    }\n    ...ActionDetails\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ArtifactsOf($id: ActionIdentifierInput!, $attempt: Int) {\n    action(id: $id) {\n      id\n      attempts\n      artifacts(attempt: $attempt, last: 1000) {\n        attempt\n        kind\n        name\n        mediaType\n        digest\n        size\n        createdAt\n        url\n      }\n    }\n  }\n"): (typeof documents)["\n  query ArtifactsOf($id: ActionIdentifierInput!, $attempt: Int) {\n    action(id: $id) {\n      id\n      attempts\n      artifacts(attempt: $attempt, last: 1000) {\n        attempt\n        kind\n        name\n        mediaType\n        digest\n        size\n        createdAt\n        url\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RunNeighbours on Run {\n    id\n    project\n    domain\n    name\n    phase\n    cursor\n    functionName\n    task {\n      name\n      version\n    }\n    createdAt\n    durationMs\n  }\n"): (typeof documents)["\n  fragment RunNeighbours on Run {\n    id\n    project\n    domain\n    name\n    phase\n    cursor\n    functionName\n    task {\n      name\n      version\n    }\n    createdAt\n    durationMs\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment HistoryRun on Run {\n    id\n    project\n    domain\n    name\n    phase\n    createdAt\n    durationMs\n    task {\n      name\n      version\n    }\n    error {\n      code\n      summary\n    }\n  }\n"): (typeof documents)["\n  fragment HistoryRun on Run {\n    id\n    project\n    domain\n    name\n    phase\n    createdAt\n    durationMs\n    task {\n      name\n      version\n    }\n    error {\n      code\n      summary\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Neighbours($filter: RunFilter!, $cursor: String!) {\n    earlier: runs(filter: $filter, after: $cursor, first: 100) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n    later: runs(filter: $filter, before: $cursor, last: 1) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n  }\n"): (typeof documents)["\n  query Neighbours($filter: RunFilter!, $cursor: String!) {\n    earlier: runs(filter: $filter, after: $cursor, first: 100) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n    later: runs(filter: $filter, before: $cursor, last: 1) {\n      nodes {\n        ...HistoryRun\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query ViewerOf {\n    viewer {\n      identity {\n        kind\n        subject\n        name\n        email\n      }\n      grants {\n        role\n        project\n        domain\n      }\n    }\n  }\n"): (typeof documents)["\n  query ViewerOf {\n    viewer {\n      identity {\n        kind\n        subject\n        name\n        email\n      }\n      grants {\n        role\n        project\n        domain\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query LoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n"): (typeof documents)["\n  query LoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription LiveLoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n"): (typeof documents)["\n  subscription LiveLoggedActionOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment LogLine on LogLine {\n    number\n    stream\n    at\n    level\n    text\n  }\n"): (typeof documents)["\n  fragment LogLine on LogLine {\n    number\n    stream\n    at\n    level\n    text\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query LogLinesOf(\n    $action: ActionIdentifierInput!\n    $attempt: Int!\n    $stream: String\n    $after: BigInt\n    $first: Int\n    $before: BigInt\n    $last: Int\n    $search: String\n    $levels: [LogLevel!]\n  ) {\n    logLines(\n      action: $action\n      attempt: $attempt\n      stream: $stream\n      after: $after\n      first: $first\n      before: $before\n      last: $last\n      search: $search\n      levels: $levels\n    ) {\n      lines {\n        ...LogLine\n      }\n      start\n      end\n      hasMore\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n"): (typeof documents)["\n  query LogLinesOf(\n    $action: ActionIdentifierInput!\n    $attempt: Int!\n    $stream: String\n    $after: BigInt\n    $first: Int\n    $before: BigInt\n    $last: Int\n    $search: String\n    $levels: [LogLevel!]\n  ) {\n    logLines(\n      action: $action\n      attempt: $attempt\n      stream: $stream\n      after: $after\n      first: $first\n      before: $before\n      last: $last\n      search: $search\n      levels: $levels\n    ) {\n      lines {\n        ...LogLine\n      }\n      start\n      end\n      hasMore\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription WatchLogLines($action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt) {\n    logLines(action: $action, attempt: $attempt, after: $after) {\n      lines {\n        ...LogLine\n      }\n      end\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription WatchLogLines($action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt) {\n    logLines(action: $action, attempt: $attempt, after: $after) {\n      lines {\n        ...LogLine\n      }\n      end\n      lineCount\n      firstError\n      omitted {\n        first\n        last\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query LogsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      attemptHistory {\n        attempt\n        phase\n        logs {\n          name\n          uri\n          isReadable\n        }\n        logSummary {\n          lineCount\n          streams {\n            name\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query LogsOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      phase\n      attempts\n      attemptHistory {\n        attempt\n        phase\n        logs {\n          name\n          uri\n          isReadable\n        }\n        logSummary {\n          lineCount\n          streams {\n            name\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment NoteSign on Run {\n    noteCount\n    lastNote {\n      id\n      text\n      author {\n        subject\n        name\n      }\n    }\n  }\n"): (typeof documents)["\n  fragment NoteSign on Run {\n    noteCount\n    lastNote {\n      id\n      text\n      author {\n        subject\n        name\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment NoteView on Note {\n    id\n    text\n    author {\n      kind\n      subject\n      name\n    }\n    createdAt\n    editedAt\n  }\n"): (typeof documents)["\n  fragment NoteView on Note {\n    id\n    text\n    author {\n      kind\n      subject\n      name\n    }\n    createdAt\n    editedAt\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query NotesOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      notes {\n        ...NoteView\n      }\n    }\n  }\n"): (typeof documents)["\n  query NotesOf($id: ActionIdentifierInput!) {\n    action(id: $id) {\n      id\n      notes {\n        ...NoteView\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation AddNote($input: AddNoteInput!) {\n    addNote(input: $input) {\n      ...NoteView\n    }\n  }\n"): (typeof documents)["\n  mutation AddNote($input: AddNoteInput!) {\n    addNote(input: $input) {\n      ...NoteView\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UpdateNote($id: ID!, $text: String!) {\n    updateNote(id: $id, text: $text) {\n      ...NoteView\n    }\n  }\n"): (typeof documents)["\n  mutation UpdateNote($id: ID!, $text: String!) {\n    updateNote(id: $id, text: $text) {\n      ...NoteView\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteNote($id: ID!) {\n    deleteNote(id: $id) {\n      deleted\n    }\n  }\n"): (typeof documents)["\n  mutation DeleteNote($id: ID!) {\n    deleteNote(id: $id) {\n      deleted\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RunNotes on Run {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n"): (typeof documents)["\n  fragment RunNotes on Run {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment ActionNotes on Action {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n"): (typeof documents)["\n  fragment ActionNotes on Action {\n    revision\n    noteCount\n    lastNote {\n      ...NoteView\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query RunHistogram($filter: RunFilter, $startDate: DateTime!, $endDate: DateTime!, $buckets: Int!) {\n    runHistogram(filter: $filter, startDate: $startDate, endDate: $endDate, buckets: $buckets) {\n      startDate\n      endDate\n      phaseCounts {\n        phase\n        count\n      }\n    }\n  }\n"): (typeof documents)["\n  query RunHistogram($filter: RunFilter, $startDate: DateTime!, $endDate: DateTime!, $buckets: Int!) {\n    runHistogram(filter: $filter, startDate: $startDate, endDate: $endDate, buckets: $buckets) {\n      startDate\n      endDate\n      phaseCounts {\n        phase\n        count\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query LeaseOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      executor\n      leaseExpiresAt\n      lastReportedAt\n    }\n  }\n"): (typeof documents)["\n  query LeaseOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      executor\n      leaseExpiresAt\n      lastReportedAt\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Projects {\n    projects {\n      name\n      domains\n    }\n  }\n"): (typeof documents)["\n  query Projects {\n    projects {\n      name\n      domains\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RunFailure on Run {\n    id\n    project\n    domain\n    name\n    phase\n    functionName\n    task {\n      name\n      version\n    }\n    cursor\n    createdAt\n    error {\n      code\n      summary\n    }\n  }\n"): (typeof documents)["\n  fragment RunFailure on Run {\n    id\n    project\n    domain\n    name\n    phase\n    functionName\n    task {\n      name\n      version\n    }\n    cursor\n    createdAt\n    error {\n      code\n      summary\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RunHeader on Run {\n    id\n    project\n    domain\n    name\n    phase\n    attempts\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    environmentName\n    trigger {\n      taskName\n      name\n      revision\n    }\n    createdBy {\n      kind\n      subject\n      name\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...RunNotes\n    links {\n      name\n      url\n    }\n    executor\n    rootAction {\n      id\n      name\n      isLost\n      isPlaceholder\n      progress {\n        ...ProgressLine\n      }\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n  }\n"): (typeof documents)["\n  fragment RunHeader on Run {\n    id\n    project\n    domain\n    name\n    phase\n    attempts\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    environmentName\n    trigger {\n      taskName\n      name\n      revision\n    }\n    createdBy {\n      kind\n      subject\n      name\n    }\n    error {\n      ...ErrorBox\n    }\n    abort {\n      ...AbortNotice\n    }\n    ...RunNotes\n    links {\n      name\n      url\n    }\n    executor\n    rootAction {\n      id\n      name\n      isLost\n      isPlaceholder\n      progress {\n        ...ProgressLine\n      }\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query RunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n"): (typeof documents)["\n  query RunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription LiveRunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n"): (typeof documents)["\n  subscription LiveRunOf($id: RunIdentifierInput!) {\n    run(id: $id) {\n      id\n      phase\n      createdAt\n      startedAt\n      endedAt\n      phaseCounts {\n        phase\n        count\n      }\n      ...RunHeader\n      ...RunFailure\n      ...RunNeighbours\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment RunRow on Run {\n    id\n    project\n    domain\n    name\n    phase\n    revision\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    createdBy {\n      kind\n      subject\n      name\n    }\n    abort {\n      state\n      attemptCount\n    }\n    ...NoteSign\n    error {\n      code\n      summary\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n    rootAction @include(if: $withProgress) {\n      id\n      progress {\n        ...ProgressLine\n      }\n      metrics {\n        name\n        unit\n        last\n      }\n    }\n  }\n"): (typeof documents)["\n  fragment RunRow on Run {\n    id\n    project\n    domain\n    name\n    phase\n    revision\n    source\n    labels {\n      key\n      value\n    }\n    task {\n      name\n      version\n    }\n    functionName\n    createdBy {\n      kind\n      subject\n      name\n    }\n    abort {\n      state\n      attemptCount\n    }\n    ...NoteSign\n    error {\n      code\n      summary\n    }\n    createdAt\n    triggeredAt\n    startedAt\n    endedAt\n    phaseCounts {\n      phase\n      count\n    }\n    rootAction @include(if: $withProgress) {\n      id\n      progress {\n        ...ProgressLine\n      }\n      metrics {\n        name\n        unit\n        last\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription WatchRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      kind\n      cursor\n      removed\n      runs {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription WatchRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      kind\n      cursor\n      removed\n      runs {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query OlderRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n"): (typeof documents)["\n  query OlderRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {\n    runs(filter: $filter, first: $first, after: $after) {\n      pageInfo {\n        hasNextPage\n        endCursor\n      }\n      nodes {\n        id\n        revision\n        createdAt\n        ...RunRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query FindRuns($search: String!) {\n    runs(filter: { search: $search }, first: 8) {\n      nodes {\n        id\n        project\n        domain\n        name\n        phase\n        functionName\n        task {\n          name\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query FindRuns($search: String!) {\n    runs(filter: { search: $search }, first: 8) {\n      nodes {\n        id\n        project\n        domain\n        name\n        phase\n        functionName\n        task {\n          name\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query FoundColumns($run: RunIdentifierInput!, $filter: ActionFilter) {\n    actionColumns(run: $run, filter: $filter) {\n      searched\n      columns {\n        source\n        path\n        actions\n        numbers\n        distinct\n        unit\n      }\n    }\n  }\n"): (typeof documents)["\n  query FoundColumns($run: RunIdentifierInput!, $filter: ActionFilter) {\n    actionColumns(run: $run, filter: $filter) {\n      searched\n      columns {\n        source\n        path\n        actions\n        numbers\n        distinct\n        unit\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription WatchValues($run: RunIdentifierInput!, $after: String, $columns: [ActionColumnInput!]!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      actions {\n        name\n        columnValues(columns: $columns)\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription WatchValues($run: RunIdentifierInput!, $after: String, $columns: [ActionColumnInput!]!) {\n    actions(run: $run, after: $after) {\n      kind\n      cursor\n      actions {\n        name\n        columnValues(columns: $columns)\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment TaskRow on TaskSummary {\n    project\n    domain\n    taskName\n    functionName\n    runs\n    ended\n    failed\n    failureRate\n    durationP50Ms\n    durationP95Ms\n    lastCreatedAt\n    phaseCounts {\n      phase\n      count\n    }\n    recentRuns(first: 20) {\n      id\n      project\n      domain\n      name\n      phase\n      durationMs\n    }\n  }\n"): (typeof documents)["\n  fragment TaskRow on TaskSummary {\n    project\n    domain\n    taskName\n    functionName\n    runs\n    ended\n    failed\n    failureRate\n    durationP50Ms\n    durationP95Ms\n    lastCreatedAt\n    phaseCounts {\n      phase\n      count\n    }\n    recentRuns(first: 20) {\n      id\n      project\n      domain\n      name\n      phase\n      durationMs\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query TaskSummaries($filter: RunFilter, $first: Int!) {\n    tasks(filter: $filter, first: $first) {\n      pageInfo {\n        hasNextPage\n      }\n      nodes {\n        ...TaskRow\n      }\n    }\n  }\n"): (typeof documents)["\n  query TaskSummaries($filter: RunFilter, $first: Int!) {\n    tasks(filter: $filter, first: $first) {\n      pageInfo {\n        hasNextPage\n      }\n      nodes {\n        ...TaskRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query TaskGrid($filter: RunFilter!, $runs: Int!, $first: Int!) {\n    runGrid(filter: $filter, runs: $runs, first: $first) {\n      isComplete\n      runs {\n        id\n        project\n        domain\n        name\n        phase\n        cursor\n        createdAt\n        startedAt\n        endedAt\n        durationMs\n        functionName\n        task {\n          name\n          version\n        }\n        error {\n          code\n          summary\n        }\n      }\n      rows {\n        kind\n        name\n        depth\n        cells {\n          run\n          name\n          phase\n          actions\n          failed\n          startedAt\n          endedAt\n          error {\n            code\n            summary\n          }\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query TaskGrid($filter: RunFilter!, $runs: Int!, $first: Int!) {\n    runGrid(filter: $filter, runs: $runs, first: $first) {\n      isComplete\n      runs {\n        id\n        project\n        domain\n        name\n        phase\n        cursor\n        createdAt\n        startedAt\n        endedAt\n        durationMs\n        functionName\n        task {\n          name\n          version\n        }\n        error {\n          code\n          summary\n        }\n      }\n      rows {\n        kind\n        name\n        depth\n        cells {\n          run\n          name\n          phase\n          actions\n          failed\n          startedAt\n          endedAt\n          error {\n            code\n            summary\n          }\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription TaskChanges($filter: RunFilter!, $runs: Int!, $after: String) {\n    runs(filter: $filter, first: $runs, after: $after) {\n      kind\n      cursor\n      runs {\n        id\n        rootAction {\n          id\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription TaskChanges($filter: RunFilter!, $runs: Int!, $after: String) {\n    runs(filter: $filter, first: $runs, after: $after) {\n      kind\n      cursor\n      runs {\n        id\n        rootAction {\n          id\n        }\n      }\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;