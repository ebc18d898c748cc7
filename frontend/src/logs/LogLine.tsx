import { memo, useMemo } from "react";
import { formatClock } from "../ui/times";
import { markMatches, partsOf, plainText, type Part, type Rgb } from "./ansi";
import { guessLevel } from "./levels";
import type { Line } from "./lines";
import classes from "./LogLines.module.css";

interface Props {
  line: Line;
  /** The text that is searched for. */
  term: string;
  /** It is the one that was linked to or found. */
  isMarked: boolean;
  times: "local" | "utc" | null;
  /** Whether the log has several streams. */
  showsStream: boolean;
  href: string;
  onMark: (number: number) => void;
}

/** A line of a log. What is not its text cannot be selected, so that it is not copied. */
export const LogLine = memo(function LogLine({
  line,
  term,
  isMarked,
  times,
  showsStream,
  href,
  onMark,
}: Props) {
  const { number, stream, at, text } = line;
  const parts = useMemo(() => partsOf(text), [text]);
  const level = useMemo(() => line.level ?? guessLevel(plainText(text)), [line.level, text]);
  const marked = useMemo(() => (term ? markMatches(parts, term) : null), [parts, term]);
  return (
    <div
      role="listitem"
      className={classes.line}
      data-line={number}
      data-level={level ?? undefined}
      data-marked={isMarked || undefined}
    >
      <a
        className={classes.number}
        href={href}
        data-number={number}
        aria-label={`Line ${number}`}
        title={`Link to line ${number}`}
        tabIndex={-1}
        onClick={(event) => {
          if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          onMark(number);
        }}
      />
      {times ? <Clock at={at} utc={times === "utc"} /> : null}
      {showsStream ? <span className={classes.stream}>{stream}</span> : null}
      <span className={classes.text}>
        {marked
          ? marked.map(({ part, isMatch }, index) =>
              isMatch ? (
                <mark key={index} className={classes.match}>
                  {part.text}
                </mark>
              ) : (
                <Styled key={index} part={part} />
              ),
            )
          : parts.map((part, index) => <Styled key={index} part={part} />)}
        {/* An empty line has the height of a line, and is a line when it is copied. */}
        {parts.length ? null : <br />}
      </span>
    </div>
  );
});

function Clock({ at, utc }: { at: string; utc: boolean }) {
  const ms = Date.parse(at);
  return (
    <time className={classes.time} dateTime={at} title={at}>
      {formatClock(ms, utc)}
    </time>
  );
}

function Styled({ part }: { part: Part }) {
  const { text, color, background } = part;
  const names = [
    part.isBold ? classes.bold : "",
    part.isDim && !background ? classes.dim : "",
    part.isItalic ? classes.italic : "",
    part.isUnderlined ? classes.underlined : "",
    part.isStruck ? classes.struck : "",
    color && !background ? classes.colored : "",
  ].filter(Boolean);
  if (!names.length && !background) return text;
  const style = background
    ? { color: css(color), background: css(background) }
    : color
      ? ({ "--ansi": css(color) } as React.CSSProperties)
      : undefined;
  return (
    <span className={names.join(" ") || undefined} style={style}>
      {text}
    </span>
  );
}

const css = (color: Rgb | null): string | undefined => (color ? `rgb(${color.join(" ")})` : undefined);
