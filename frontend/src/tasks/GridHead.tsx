import { Link } from "@tanstack/react-router";
import { usualOf } from "../history/usual";
import { runParams } from "../live/paths";
import { useNow } from "../ui/clock";
import { formatDuration } from "../ui/durations";
import { hasEnded, phaseStyle } from "../ui/phases";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { formatTime } from "../ui/times";
import { type GridRun, scaleOf } from "./grid";
import classes from "./TaskGrid.module.css";
import type { Place } from "./TaskGrid";

interface Props {
  runs: readonly GridRun[];
  changes: readonly { column: number; version: string }[];
  changed: ReadonlySet<number>;
  id: string;
  cursor: Place | null;
}

/** So many columns a label needs. */
const LABEL = 3;

/** The head of the grid: durations as bars with p50 and p95, changes of the version, and when the runs were created. */
export function GridHead({ runs, changes, changed, id, cursor }: Props) {
  const ticks = runs.some(({ phase }) => !hasEnded(phase));
  const now = useNow(ticks);
  const timed = runs.map((run) => ({
    run,
    durationMs: run.durationMs ?? (hasEnded(run.phase) ? null : Math.max(0, now - Date.parse(run.createdAt))),
  }));
  const usual = usualOf(runs);
  const top = scaleOf(timed, usual?.p95 ?? null);
  const lines = usual ? [["p95", usual.p95] as const, ["p50", usual.p50] as const] : [];
  return (
    <div className={classes.head} role="rowgroup">
      <div role="row" className={classes.bars} aria-rowindex={1} data-row={-1}>
        <span role="columnheader" className={`${classes.name} ${classes.scale}`}>
          <span className="only-read">Action</span>
          {lines.map(([what, ms]) => (
            <span
              key={what}
              className={`${classes.mark} faint`}
              style={{ bottom: `clamp(13px, ${heightOf(ms, top)}%, calc(100% - 13px))` }}
              data-mark={what}
            >
              {what} {formatDuration(ms)}
            </span>
          ))}
        </span>
        {timed.map(({ run, durationMs }, column) => {
          const { label, color } = phaseStyle(run.phase);
          const took = durationMs === null ? "" : `, ${formatDuration(durationMs)}`;
          const isCursor = cursor?.row === -1 && cursor.column === column;
          return (
            <span
              key={run.id}
              role="columnheader"
              id={`${id}-1-${column}`}
              data-column={column}
              data-run={run.name}
              className={`${classes.bar} ${changed.has(column) ? classes.change : ""} ${isCursor ? classes.cursor : ""}`}
            >
              <Link
                to="/runs/$project/$domain/$name"
                params={runParams(run)}
                tabIndex={-1}
                aria-label={`${run.name}: ${label}${took}`}
              >
                <span
                  className={durationMs !== null && durationMs > top ? classes.over : undefined}
                  data-ended={hasEnded(run.phase)}
                  style={
                    {
                      "--phase": color,
                      height: `${durationMs === null ? 100 : Math.max(3, heightOf(durationMs, top))}%`,
                    } as React.CSSProperties
                  }
                />
              </Link>
            </span>
          );
        })}
        {lines.map(([what, ms]) => (
          <span key={what} aria-hidden className={classes.rule} style={{ bottom: `${heightOf(ms, top)}%` }} />
        ))}
      </div>
      <Labels
        what="Version"
        labels={changes.map(({ column, version }) => ({ column, text: version }))}
        count={runs.length}
        isChange
      />
      <Times runs={runs} />
    </div>
  );
}

/** When the runs were created, where there is room for it. */
function Times({ runs }: { runs: readonly GridRun[] }) {
  const mode = usePreference(timeMode);
  const now = useNow(mode === "relative", 15_000);
  const labels: { column: number; text: string }[] = [];
  // Of the newest run too, if there are few.
  for (let column = Math.max(0, runs.length - LABEL); column >= 0; column -= LABEL) {
    const run = runs[column];
    if (run) labels.unshift({ column, text: short(formatTime(Date.parse(run.createdAt), mode, now)) });
  }
  return <Labels what="Created" labels={labels} count={runs.length} />;
}

/** Without seconds and the zone: hovering shows the time in full. */
const short = (time: string): string =>
  time.replace(/(\d\d:\d\d):\d\d(?: UTC)?$/, "$1").replace(/^\d{4}-/, "");

/** The height of a duration in percent. */
const heightOf = (ms: number, top: number): number => (Math.min(ms, top) / top) * 100;

interface LabelsProps {
  what: string;
  labels: readonly { column: number; text: string }[];
  count: number;
  isChange?: boolean;
}

/** A line of texts, each from its column to the next text. */
function Labels({ what, labels, count, isChange = false }: LabelsProps) {
  if (!labels.length) return null;
  return (
    <div className={classes.labels} role="presentation" data-labels={what}>
      <span className={`${classes.name} faint`}>{what}</span>
      {labels.map(({ column, text }, index) => {
        const end = labels[index + 1]?.column ?? count;
        const isLast = isChange && index > 0 && end === count && end - column < LABEL && count > LABEL;
        const start = isLast ? Math.max(0, count - LABEL) : column;
        return (
          <span
            key={column}
            title={text}
            className={`${classes.label} cut faint`}
            data-change={isChange && index > 0}
            data-last={isLast}
            // The last one may use the space behind the runs, if there is some.
            style={{ gridColumn: `${start + 2} / ${end === count ? -1 : end + 2}` }}
          >
            {text}
          </span>
        );
      })}
    </div>
  );
}
