import { graphql } from "../gql";

export const LogLineFragment = graphql(`
  fragment LogLine on LogLine {
    number
    stream
    at
    level
    text
  }
`);

export const LogLinesOf = graphql(`
  query LogLinesOf(
    $action: ActionIdentifierInput!
    $attempt: Int!
    $stream: String
    $after: BigInt
    $first: Int
    $before: BigInt
    $last: Int
    $search: String
    $levels: [LogLevel!]
  ) {
    logLines(
      action: $action
      attempt: $attempt
      stream: $stream
      after: $after
      first: $first
      before: $before
      last: $last
      search: $search
      levels: $levels
    ) {
      lines {
        ...LogLine
      }
      start
      end
      hasMore
      lineCount
      firstError
      omitted {
        first
        last
      }
    }
  }
`);

export const WatchLogLines = graphql(`
  subscription WatchLogLines($action: ActionIdentifierInput!, $attempt: Int!, $after: BigInt) {
    logLines(action: $action, attempt: $attempt, after: $after) {
      lines {
        ...LogLine
      }
      end
      lineCount
      firstError
      omitted {
        first
        last
      }
    }
  }
`);

/** The attempts of an action and their logs. */
export const LogsOf = graphql(`
  query LogsOf($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      phase
      attempts
      attemptHistory {
        attempt
        phase
        logs {
          name
          uri
          isReadable
        }
        logSummary {
          lineCount
          streams {
            name
          }
        }
      }
    }
  }
`);
