import type { ReactNode } from "react";
import { useMemo } from "react";
import { useQuery } from "urql";
import type { ActionIdentifierInput } from "../gql/graphql";
import { useApi } from "../live/api";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { hasEnded } from "../ui/phases";
import { addressOfLine } from "./address";
import { LogsOf } from "./documents";
import { LogLinks } from "./LogLinks";
import type { LogView } from "./LogToolbar";
import { LogViewer } from "./LogViewer";
import { storedLog } from "./source";

interface Props {
  id: ActionIdentifierInput;
  /** The number of changes of the action. */
  changes: number;
  view: LogView;
  onView: (change: Partial<LogView>) => void;
  /** Keys of the page work in it. */
  hasKeys?: boolean;
  children?: ReactNode;
}

/** The logs of an action's attempts: one at a time, the latest first. */
export default function ActionLogs({ id, changes, view, onView, hasKeys = false, children }: Props) {
  const { project, domain, runName, name } = id;
  const api = useApi();
  const [query, reload] = useQuery({ query: LogsOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  const history = data?.action?.attemptHistory ?? [];
  const latest = history.at(-1)?.attempt ?? 1;
  const number = view.attempt ?? latest;
  const source = useMemo(
    () => storedLog(api, { project, domain, runName, name }, number),
    [api, project, domain, runName, name, number],
  );
  if (error && !data) {
    return (
      <ErrorNotice title="The logs could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the logs" />;
  if (!data.action) return <EmptyNotice title={`There is no action ${name}`} />;
  const attempt = history.find((each) => each.attempt === number);
  const phase = attempt?.phase ?? "QUEUED";
  const isLive = number >= latest && !hasEnded(phase);
  const attempts = history.map((each) => each.attempt);
  return (
    <LogViewer
      key={number}
      source={source}
      name={`log of ${name}, attempt ${number}`}
      view={{ ...view, attempt: number }}
      onView={onView}
      streams={attempt?.logSummary?.streams.map((stream) => stream.name) ?? NONE}
      attempts={attempts.includes(number) ? attempts : [...attempts, number]}
      isLive={isLive}
      // Why it failed is at its end.
      start={phase === "FAILED" || phase === "TIMED_OUT" ? "end" : "start"}
      hrefOf={(line) => addressOfLine(api.base, id, { ...view, attempt: number, line })}
      hasKeys={hasKeys}
      empty={
        <EmptyNotice title={isLive ? "No log lines yet" : "No log"}>
          <p>The executor has sent no lines of attempt {number}.</p>
          <LogLinks links={attempt?.logs ?? []} />
        </EmptyNotice>
      }
    >
      {children}
    </LogViewer>
  );
}

const NONE: readonly string[] = [];
