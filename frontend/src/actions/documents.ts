import { graphql } from "../gql";

export const ActionRowFragment = graphql(`
  fragment ActionRow on Action {
    id
    revision
    name
    parentName
    group
    type
    phase
    attempts
    cacheStatus
    isPlaceholder
    isLost
    progress {
      ...ProgressLine
    }
    metrics @include(if: $withMetrics) {
      name
      unit
      last
    }
    functionName
    dependencies
    createdAt
    startedAt
    endedAt
    error {
      code
      summary
    }
    abort {
      state
    }
  }
`);

export const WatchActions = graphql(`
  subscription WatchActions($run: RunIdentifierInput!, $after: String, $withMetrics: Boolean!) {
    actions(run: $run, after: $after) {
      kind
      cursor
      removed
      actions {
        ...ActionRow
      }
    }
  }
`);

/**
 * Large fields (spec, attempts, events, state) are read by the tab that shows them and are not sent with each
 * change.
 */
export const ActionViewFragment = graphql(`
  fragment ActionView on Action {
    id
    project
    domain
    runName
    name
    phase
    attempts
    cacheStatus
    isPlaceholder
    isLost
    createdAt
    startedAt
    endedAt
    progress {
      ...ProgressLine
    }
    metrics {
      name
      lastAt
    }
    error {
      ...ErrorBox
    }
    abort {
      ...AbortNotice
    }
    ...ActionNotes
    links {
      name
      url
    }
    ...ActionDetails
  }
`);
