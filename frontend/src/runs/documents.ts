import { graphql } from "../gql";

export const RunRowFragment = graphql(`
  fragment RunRow on Run {
    id
    project
    domain
    name
    phase
    revision
    source
    labels {
      key
      value
    }
    task {
      name
      version
    }
    functionName
    createdBy {
      kind
      subject
      name
    }
    abort {
      state
      attemptCount
    }
    ...NoteSign
    error {
      code
      summary
    }
    createdAt
    triggeredAt
    startedAt
    endedAt
    phaseCounts {
      phase
      count
    }
    rootAction @include(if: $withProgress) {
      id
      progress {
        ...ProgressLine
      }
      metrics {
        name
        unit
        last
      }
    }
  }
`);

export const WatchRuns = graphql(`
  subscription WatchRuns($filter: RunFilter, $first: Int!, $after: String, $withProgress: Boolean!) {
    runs(filter: $filter, first: $first, after: $after) {
      kind
      cursor
      removed
      runs {
        id
        revision
        createdAt
        ...RunRow
      }
    }
  }
`);

export const OlderRuns = graphql(`
  query OlderRuns(
    $filter: RunFilter
    $order: ActionOrder
    $first: Int!
    $after: String
    $withProgress: Boolean!
  ) {
    runs(filter: $filter, orderBy: $order, first: $first, after: $after) {
      pageInfo {
        hasNextPage
        endCursor
      }
      nodes {
        id
        revision
        createdAt
        ...RunRow
      }
    }
  }
`);
