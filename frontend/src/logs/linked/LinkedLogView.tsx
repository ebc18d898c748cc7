import { type ReactNode, useEffect, useRef, useState } from "react";
import type { ActionIdentifierInput } from "../../gql/graphql";
import { useApi } from "../../live/api";
import { type Problem, problemOf } from "../../live/errors";
import { formatBytes } from "../../ui/bytes";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../../ui/notices";
import { useValue } from "../../ui/value";
import type { LogView } from "../LogToolbar";
import { LogViewer } from "../LogViewer";
import { LinkedLog } from "./linkedLog";
import { linkedAddress, readLinked } from "./readLinked";
import classes from "./LogLinks.module.css";

interface Props {
  id: ActionIdentifierInput;
  attempt: number;
  /** The name of the link. */
  link: string;
  attempts: readonly number[];
  view: LogView;
  onView: (change: Partial<LogView>) => void;
  /** Lines may still arrive. */
  isLive: boolean;
  /** Its end says most. */
  beginsAtEnd: boolean;
  hrefOf: (line: number) => string;
  hasKeys: boolean;
  children?: ReactNode;
}

/** A longer log, in bytes, is not read to its end before one goes there. */
const READ_AT_ONCE = 4 * 1024 * 1024;

type Opened = { of: number } & ({ log: LinkedLog } | { problem: Problem });

/** A log that is kept elsewhere, in the same viewer; it is read in ranges, as far as one scrolls. */
export function LinkedLogView({ id, attempt, link, isLive, beginsAtEnd, children, ...props }: Props) {
  const api = useApi();
  const address = linkedAddress(api.base, id, attempt, link);
  const [tries, setTries] = useState(0);
  const [opened, setOpened] = useState<Opened | null>(null);
  const isLiveNow = useRef(isLive);
  useEffect(() => {
    const leaving = new AbortController();
    const log = new LinkedLog(readLinked(api, address, leaving.signal), isLiveNow.current);
    const settle = (result: { log: LinkedLog } | { problem: Problem }): void => {
      if (!leaving.signal.aborted) setOpened({ of: tries, ...result });
    };
    log.open().then(
      () => settle({ log }),
      (reason: unknown) => settle({ problem: problemOf(reason) }),
    );
    return () => leaving.abort();
  }, [api, address, tries]);
  useEffect(() => {
    isLiveNow.current = isLive;
    if (opened && "log" in opened) opened.log.setGrowing(isLive);
  }, [opened, isLive]);
  if (opened?.of !== tries) return <LoadingNotice what="the log" />;
  if ("problem" in opened) {
    return (
      <ErrorNotice
        title={`${link} could not be read`}
        problem={opened.problem}
        retry={() => setTries(tries + 1)}
      />
    );
  }
  const isShort = opened.log.extent.get().total <= READ_AT_ONCE;
  return (
    <LogViewer
      {...props}
      source={opened.log}
      name={`${link} of ${id.name}, attempt ${attempt}`}
      streams={NONE}
      isPlain
      isLive={isLive}
      followsAtFirst={isLive && isShort}
      start={beginsAtEnd && isShort ? "end" : "start"}
      empty={<EmptyNotice title={isLive ? "No log lines yet" : "The log is empty"} />}
    >
      <HowMuch log={opened.log} />
      {children}
    </LogViewer>
  );
}

const NONE: readonly string[] = [];

/** How much of the log has been read. */
function HowMuch({ log }: { log: LinkedLog }) {
  const { read, total } = useValue(log.extent);
  const isWhole = read >= total;
  return (
    <span
      className={classes.extent}
      title={
        isWhole ? "The size of the log" : "Further parts are read as you scroll, search, or go to the end"
      }
      data-extent
    >
      {isWhole ? formatBytes(total) : `${formatBytes(read)} of ${formatBytes(total)} read`}
    </span>
  );
}
