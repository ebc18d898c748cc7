import { graphql } from "../gql";

export const ComparedRun = graphql(`
  query ComparedRun($id: RunIdentifierInput!) {
    run(id: $id) {
      id
      project
      domain
      name
      phase
      attempts
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
      environmentName
      trigger {
        name
        revision
      }
      createdBy {
        subject
        name
      }
      executor
      error {
        code
        summary
      }
      rootAction {
        id
        name
      }
      createdAt
      triggeredAt
      startedAt
      endedAt
      phaseCounts {
        phase
        count
      }
    }
  }
`);

export const RunBefore = graphql(`
  query RunBefore($filter: RunFilter!) {
    runs(filter: $filter, first: 2) {
      nodes {
        id
        project
        domain
        name
      }
    }
  }
`);

export const ComparedAction = graphql(`
  query ComparedAction($id: ActionIdentifierInput!) {
    action(id: $id) {
      id
      name
      phase
      attempts
      functionName
      environmentName
      cacheStatus
      task {
        name
        version
      }
      error {
        code
        summary
      }
      createdAt
      startedAt
      endedAt
      spec
      attemptHistory(last: 1) {
        attempt
        cluster
        outputs
      }
    }
  }
`);
