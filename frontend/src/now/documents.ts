import { graphql } from "../gql";

export const NowGroupFragment = graphql(`
  fragment NowGroup on RunCount {
    project
    createdBySubject
    createdByName
    phaseCounts {
      phase
      count
    }
  }
`);

/** The tiles: those of projects are restricted to the selected person, and the other way round. */
export const NowCounts = graphql(`
  query NowCounts(
    $unfinishedOfPerson: RunFilter!
    $failedOfPerson: RunFilter!
    $unfinishedOfProject: RunFilter!
    $failedOfProject: RunFilter!
  ) {
    projects: runCounts(by: PROJECT, filter: $unfinishedOfPerson) {
      ...NowGroup
    }
    failedProjects: runCounts(by: PROJECT, filter: $failedOfPerson) {
      ...NowGroup
    }
    people: runCounts(by: CREATOR, filter: $unfinishedOfProject) {
      ...NowGroup
    }
    failedPeople: runCounts(by: CREATOR, filter: $failedOfProject) {
      ...NowGroup
    }
  }
`);

export const NowRunFragment = graphql(`
  fragment NowRun on Run {
    id
    project
    domain
    name
    phase
    createdAt
    startedAt
    task {
      name
    }
    functionName
    createdBy {
      subject
      name
    }
    abort {
      state
    }
  }
`);

/** What may be stuck, the oldest first. */
export const NowRuns = graphql(`
  query NowRuns(
    $running: RunFilter!
    $queued: RunFilter!
    $paused: RunFilter!
    $silent: RunFilter!
    $mine: RunFilter!
    $withMine: Boolean!
    $compared: Int!
    $first: Int!
  ) {
    running: runs(filter: $running, first: $compared, orderBy: { field: CREATED_AT, direction: ASC }) {
      pageInfo {
        hasNextPage
      }
      nodes {
        ...NowRun
        typicalDuration {
          runs
          p95Ms
        }
      }
    }
    queued: runs(filter: $queued, first: $first, orderBy: { field: CREATED_AT, direction: ASC }) {
      totalCount(atMost: 1000)
      nodes {
        ...NowRun
      }
    }
    paused: runs(filter: $paused, first: $first, orderBy: { field: CREATED_AT, direction: ASC }) {
      totalCount(atMost: 1000)
      nodes {
        ...NowRun
      }
    }
    silent: runs(filter: $silent, first: $first, orderBy: { field: CREATED_AT, direction: ASC }) {
      totalCount(atMost: 1000)
      nodes {
        ...NowRun
        executor
        leaseExpiresAt
        lastReportedAt
      }
    }
    mine: runs(filter: $mine, first: $first, orderBy: { field: CREATED_AT, direction: ASC })
      @include(if: $withMine) {
      totalCount(atMost: 1000)
      nodes {
        ...NowRun
      }
    }
    aborts: pendingAborts(first: 200) {
      nodes {
        id
        project
        domain
        runName
        name
        parentName
        phase
        abort {
          state
          attemptCount
          lastError
          requestedAt
        }
        run {
          id
          createdBy {
            subject
          }
        }
      }
    }
  }
`);

/** A frame for each change among unfinished runs: the counts and rows are read again. */
export const WatchUnfinished = graphql(`
  subscription WatchUnfinished($filter: RunFilter!) {
    runs(filter: $filter, first: 1) {
      kind
    }
  }
`);
