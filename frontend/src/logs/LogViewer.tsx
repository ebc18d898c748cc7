import { type ReactNode, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { announce } from "../ui/announce";
import { copyText } from "../ui/copy";
import { useHotkeys } from "../ui/hotkeys";
import { EmptyNotice, ErrorNotice, LoadingNotice } from "../ui/notices";
import { usePreference } from "../ui/preferences";
import { LEVELS } from "./levels";
import { Log, type LogSource, type Start } from "./log";
import { LogList, type Target } from "./LogList";
import { LogToolbar, type LogView } from "./LogToolbar";
import classes from "./LogViewer.module.css";
import { showsTimes, wrapsLines } from "./preferences";
import { saveAs, textOf } from "./saving";

interface Props {
  source: LogSource;
  /** Such as "log of step, attempt 2". */
  name: string;
  view: LogView;
  onView: (change: Partial<LogView>) => void;
  streams: readonly string[];
  attempts: readonly number[];
  /** Its lines have neither times nor levels of their own. */
  isPlain?: boolean;
  /** Lines may still arrive. */
  isLive: boolean;
  /** Whether new lines are followed at first, if no line is linked to: if they may arrive, unless stated. */
  followsAtFirst?: boolean;
  /** Where reading begins if no line is linked to. */
  start: Start;
  hrefOf: (line: number) => string;
  /** Shown if there are no lines. */
  empty: ReactNode;
  /** Keys of the page work in it. */
  hasKeys: boolean;
  /** Further tools. */
  children?: ReactNode;
}

/** Longer logs are not copied but downloaded: characters. */
const MOST_COPIED = 5_000_000;

/** A log: its lines, live, with search, filters, links, copy and download. */
export function LogViewer({ source, view, onView, isPlain = false, isLive, start, ...props }: Props) {
  const { name, streams, attempts, hrefOf, empty, hasKeys, children, followsAtFirst = isLive } = props;
  const { line } = view;
  const { stream, level } = isPlain ? NEITHER : view;
  const log = useMemo(
    () => new Log(source, { stream, levels: level ? LEVELS.slice(LEVELS.indexOf(level)) : [] }),
    [source, stream, level],
  );
  useSyncExternalStore(log.batch.listenToAll, () => log.version);
  const [isFollowing, setFollowing] = useState(followsAtFirst && line === undefined);
  const [target, setTarget] = useState<Target | null>(null);
  const [first] = useState<Start>(line ?? start);
  const [found, setFound] = useState("");
  const [term, setTerm] = useState(view.term ?? "");
  const times = usePreference(showsTimes) && !isPlain;
  const wraps = usePreference(wrapsLines);

  const goTo = useCallback(
    (number: number) => {
      setFollowing(false);
      void log.reveal(number).then((isThere) => {
        if (isThere) setTarget({ number });
        else setFound(`No line ${number}`);
      });
      onView({ line: number });
    },
    [log, onView],
  );
  const follow = (isOn: boolean): void => {
    setFollowing(isOn);
    if (isOn) void log.reveal("end");
  };
  useEffect(
    () => {
      const at = line ?? (isFollowing ? "end" : first);
      return log.open(at, () => {
        const number = at === "end" ? log.lines.blocks.at(-1)?.last : at;
        // The line stays in view when the filter changes.
        if (typeof number === "number" && !isFollowing) setTarget({ number });
      });
    },
    [log], // eslint-disable-line react-hooks/exhaustive-deps -- only where reading begins
  );

  const find = async (text: string, direction: 1 | -1): Promise<void> => {
    setTerm(text);
    setFound("");
    if (text !== (view.term ?? "")) onView({ term: text || undefined });
    if (!text) return;
    const from = line ?? (direction > 0 ? 0 : Infinity);
    const number = await log.find(text, from, direction);
    if (number === undefined) return;
    setFound(number === null ? "No match" : `Line ${number.toLocaleString("en")}`);
    if (number !== null) goTo(number);
  };
  const { firstError, lineCount, problem } = log;
  const goToError = async (): Promise<void> => {
    setFound("Searching…");
    const number = await log.findError();
    setFound(number === null ? "No error" : "");
    if (typeof number === "number") goTo(number);
  };
  const goToEnd = async (): Promise<void> => {
    await log.reveal("end");
    if (log.lineCount && !log.problem) goTo(log.lineCount);
  };
  const copy = async (): Promise<void> => {
    const text = await textOf(log, { most: MOST_COPIED });
    if (text) await copyText(text.join(""), "log");
    else announce("The log is too long to copy: download it");
  };
  const download = async (): Promise<void> => {
    announce("Reading the log…");
    const text = await textOf(log);
    if (text) saveAs(`${name.replace(/[^\w.-]+/g, "-")}.log`, text, "text/plain");
  };
  useHotkeys(
    hasKeys
      ? [
          { keys: "f", what: "Follow the log", run: () => follow(isLive) },
          { keys: "e", what: "First error in the log", run: () => void goToError() },
          { keys: "n", what: "Next match in the log", run: () => void find(term, 1) },
          { keys: "N", what: "Previous match in the log", run: () => void find(term, -1) },
          { keys: "w", what: "Wrap long lines", run: () => wrapsLines.set(!wraps) },
        ]
      : [],
  );
  const retry = (): void => void log.reveal(line ?? first);
  const isEmpty = lineCount === 0 || (lineCount !== null && !log.lines.blocks.length);
  return (
    <div className={classes.viewer}>
      <LogToolbar
        view={{ ...view, term }}
        onView={onView}
        streams={streams}
        attempts={attempts}
        onFind={(text, direction) => void find(text, direction)}
        found={found}
        hasLevels={!isPlain}
        hasKeys={hasKeys}
      >
        <span className={classes.tools}>
          {firstError !== null || log.findsErrors ? (
            <button type="button" onClick={() => void goToError()}>
              First error
            </button>
          ) : null}
          {source.reach ? (
            <button type="button" title="Go to the last line" onClick={() => void goToEnd()}>
              End
            </button>
          ) : null}
          {isPlain ? null : (
            <button type="button" aria-pressed={times} onClick={() => showsTimes.set(!times)}>
              Times
            </button>
          )}
          <button type="button" aria-pressed={wraps} onClick={() => wrapsLines.set(!wraps)}>
            Wrap
          </button>
          <button type="button" title="Copy all lines that are shown" onClick={() => void copy()}>
            Copy
          </button>
          <button type="button" title="Download all lines that are shown" onClick={() => void download()}>
            Download
          </button>
          {children}
        </span>
      </LogToolbar>
      {problem && lineCount === null ? (
        <ErrorNotice title="The log could not be read" problem={problem} retry={retry} />
      ) : lineCount === null ? (
        <LoadingNotice what="the log" />
      ) : isEmpty ? (
        lineCount === 0 ? (
          empty
        ) : (
          <EmptyNotice title="No line matches">Choose another stream or level above.</EmptyNotice>
        )
      ) : (
        <>
          {problem ? (
            <ErrorNotice title="Some lines could not be read" problem={problem} retry={retry} />
          ) : null}
          <LogList
            label={name}
            lines={log.lines}
            lineCount={lineCount}
            term={term}
            target={target}
            marked={line}
            onMark={(number) => onView({ line: number })}
            hrefOf={hrefOf}
            showsTimes={times}
            showsStreams={streams.length > 1 && stream === undefined}
            wraps={wraps}
            isFollowing={isFollowing}
            onFollow={follow}
            isLive={isLive}
          />
        </>
      )}
    </div>
  );
}

const NEITHER = { stream: undefined, level: undefined };
