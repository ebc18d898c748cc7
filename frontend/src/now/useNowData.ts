import { useCallback, useEffect, useRef, useState } from "react";
import type { NowCountsQuery, NowRunsQuery } from "../gql/graphql";
import { readDocument, useApi, watchDocument } from "../live/api";
import type { Problem } from "../live/errors";
import { NowCounts, NowRuns, WatchUnfinished } from "./documents";
import { countVariables, listVariables } from "./filters";
import { type NowSearch, UNFINISHED } from "./nowSearch";
import { Rereader } from "./rereader";

/** Milliseconds after which it is read again without a change: time alone makes a run late. */
const POLL_INTERVAL = 15_000;

interface NowData {
  counts: NowCountsQuery | null;
  lists: NowRunsQuery | null;
  problem: Problem | null;
}

const NOTHING: NowData = { counts: null, lists: null, problem: null };

/**
 * The counts and lists of the page, read again when an unfinished run changes. The lists are not while they
 * are under the pointer: no row may move from under it.
 */
export function useNowData(search: NowSearch, viewer: string | undefined) {
  const api = useApi();
  const [data, setData] = useState(NOTHING);
  const isRead = useRef(false);
  const lists = useRef<Rereader<NowRunsQuery> | null>(null);
  const { project, by } = search;
  useEffect(() => {
    const search = { project, by };
    const done = (found: Partial<NowData>, problem: Problem | null): void =>
      setData((before) => (problem ? { ...before, problem } : { ...before, ...found, problem: null }));
    const counting = new Rereader(
      () => readDocument(api, NowCounts, countVariables(search, Date.now())),
      (counts, problem) => done({ counts }, problem),
    );
    const listing = new Rereader(
      () => readDocument(api, NowRuns, listVariables(search, viewer, Date.now())),
      (lists, problem) => done({ lists }, problem),
    );
    const ask = (): void => {
      counting.ask();
      if (!isRead.current) listing.ask();
    };
    lists.current = listing;
    counting.ask();
    listing.ask();
    const stop = watchDocument(api, WatchUnfinished, () => ({ filter: { phases: UNFINISHED } }), {
      next: ask,
      failed: (problem) => done({}, problem),
    });
    const timer = setInterval(() => {
      if (!document.hidden) ask();
    }, POLL_INTERVAL);
    return () => {
      clearInterval(timer);
      stop();
      counting.stop();
      listing.stop();
    };
  }, [api, project, by, viewer]);
  return {
    ...data,
    refresh: useCallback(() => lists.current?.ask(), []),
    read: useCallback((reading: boolean) => {
      isRead.current = reading;
      if (!reading) lists.current?.ask();
    }, []),
  };
}
