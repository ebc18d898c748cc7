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
