import { graphql } from "../gql";

export const FoundColumns = graphql(`
  query FoundColumns($run: RunIdentifierInput!, $filter: ActionFilter) {
    actionColumns(run: $run, filter: $filter) {
      searched
      columns {
        source
        path
        actions
        numbers
        distinct
        unit
      }
    }
  }
`);

export const WatchValues = graphql(`
  subscription WatchValues($run: RunIdentifierInput!, $after: String, $columns: [ActionColumnInput!]!) {
    actions(run: $run, after: $after) {
      kind
      cursor
      actions {
        name
        columnValues(columns: $columns)
      }
    }
  }
`);
