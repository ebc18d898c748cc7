import type { ReactNode } from "react";
import { useMemo, useState } from "react";
import { useQuery } from "urql";
import type { ActionIdentifierInput, LogsOfQuery } from "../gql/graphql";
import { useApi } from "../live/api";
import { problemOf } from "../live/errors";
import { useRefetch } from "../live/useRefetch";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { hasEnded } from "../ui/phases";
import { addressOfLine } from "./address";
import { attemptNumbers } from "./attempts";
import { LogsOf } from "./documents";
import { LinkedLogView } from "./linked/LinkedLogView";
import { LogLinks } from "./linked/LogLinks";
import linkClasses from "./linked/LogLinks.module.css";
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

type Attempt = NonNullable<LogsOfQuery["action"]>["attemptHistory"][number];

/** The logs of an action's attempts: one at a time, the latest first. */
export default function ActionLogs({ id, changes, ...props }: Props) {
  const [query, reload] = useQuery({ query: LogsOf, variables: { id } });
  useRefetch(changes, query, reload);
  const { data, error } = query;
  if (error && !data) {
    return (
      <ErrorNotice title="The logs could not be read" problem={problemOf(error)} retry={() => reload()} />
    );
  }
  if (!data) return <LoadingNotice what="the logs" />;
  if (!data.action) return <EmptyNotice title={`There is no action ${id.name}`} />;
  const { attemptHistory: history, attempts, phase } = data.action;
  const latest = Math.max(attempts, history.at(-1)?.attempt ?? 1);
  const number = props.view.attempt ?? latest;
  const attempt = history.find((each) => each.attempt === number);
  return (
    <AttemptLogs
      key={number}
      {...props}
      id={id}
      number={number}
      attempt={attempt}
      // Of an attempt without events only the action's phase is known, which is that of the latest one.
      phase={attempt?.phase ?? (number >= attempts ? phase : "FAILED")}
      isLatest={number >= latest}
      attempts={attemptNumbers(latest, [...history.map((each) => each.attempt), number])}
    />
  );
}

interface AttemptProps extends Omit<Props, "changes"> {
  number: number;
  /** What its events say; undefined without one. */
  attempt: Attempt | undefined;
  phase: string;
  isLatest: boolean;
  /** The numbers of all attempts. */
  attempts: readonly number[];
}

/** The logs of an attempt: the lines that the executor sent, and those that it linked. */
function AttemptLogs({
  id,
  number,
  attempt,
  phase,
  isLatest,
  attempts,
  view,
  onView,
  ...props
}: AttemptProps) {
  const { hasKeys = false, children } = props;
  const { project, domain, runName, name } = id;
  const api = useApi();
  const source = useMemo(
    () => storedLog(api, { project, domain, runName, name }, number),
    [api, project, domain, runName, name, number],
  );
  const links = attempt?.logs ?? NO_LINKS;
  const hasLines = !!attempt?.logSummary?.lineCount;
  const readable = links.filter((each) => each.isReadable).map((each) => each.name);
  // Chosen once: what one looks at stays when lines begin to arrive.
  const [first] = useState(hasLines ? undefined : readable[0]);
  const isChosen = view.link !== undefined && readable.includes(view.link);
  const link = isChosen ? view.link : first;
  const isLive = isLatest && !hasEnded(phase);
  const beginsAtEnd = phase === "FAILED" || phase === "TIMED_OUT";
  const shown = { ...view, attempt: number, link };
  const hrefOf = (line: number): string => addressOfLine(api.base, id, { ...shown, line });
  const choose = (name: string | undefined): void => onView({ link: name, line: undefined, term: undefined });
  const common = { view: shown, onView, attempts, isLive, hrefOf, hasKeys, children };
  return (
    <>
      {links.length ? (
        <div className={linkClasses.bar}>
          <LogLinks
            links={links}
            opener={(name) => (
              <button type="button" aria-pressed={name === link} onClick={() => choose(name)}>
                {name}
              </button>
            )}
          >
            {hasLines && readable.length ? (
              <span className={linkClasses.pair}>
                <button type="button" aria-pressed={link === undefined} onClick={() => choose(undefined)}>
                  Reported lines
                </button>
              </span>
            ) : null}
          </LogLinks>
        </div>
      ) : null}
      {link === undefined ? (
        <LogViewer
          {...common}
          source={source}
          name={`log of ${name}, attempt ${number}`}
          streams={attempt?.logSummary?.streams.map((stream) => stream.name) ?? NONE}
          // Why it failed is at its end.
          start={beginsAtEnd ? "end" : "start"}
          empty={
            <EmptyNotice title={isLive ? "No log lines yet" : "No log"}>
              <p>The executor has sent no lines of attempt {number}.</p>
              {links.length ? <p>It linked to logs that are kept elsewhere: see above.</p> : null}
            </EmptyNotice>
          }
        />
      ) : (
        <LinkedLogView
          key={link}
          {...common}
          id={id}
          attempt={number}
          link={link}
          beginsAtEnd={beginsAtEnd}
        />
      )}
    </>
  );
}

const NONE: readonly string[] = [];
const NO_LINKS: Attempt["logs"] = [];
