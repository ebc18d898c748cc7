import { useEffect, useRef, useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../gql";
import type { RunFilter } from "../gql/graphql";
import { useNow } from "../ui/clock";
import { formatDuration } from "../ui/durations";
import { phaseStyle } from "../ui/phases";
import { describeCounts, inBarOrder } from "../ui/PhaseBar";
import { usePreference } from "../ui/preferences";
import { timeMode } from "../ui/timeMode";
import { formatTime } from "../ui/times";
import classes from "./DensityStrip.module.css";

const RunHistogram = graphql(`
  query RunHistogram($filter: RunFilter, $startDate: DateTime!, $endDate: DateTime!, $buckets: Int!) {
    runHistogram(filter: $filter, startDate: $startDate, endDate: $endDate, buckets: $buckets) {
      startDate
      endDate
      phaseCounts {
        phase
        count
      }
    }
  }
`);

const HOUR = 3_600_000;
/** The selectable time ranges with their number of buckets. */
const RANGES = {
  "1h": { ms: HOUR, buckets: 60 },
  "24h": { ms: 24 * HOUR, buckets: 96 },
  "7d": { ms: 168 * HOUR, buckets: 84 },
  "30d": { ms: 720 * HOUR, buckets: 90 },
};
type Range = keyof typeof RANGES;

/** The maximum interval in milliseconds at which the end advances. */
const STEP = 60_000;

interface Span {
  /** Milliseconds since 1970. */
  start: number;
  end: number;
  /** The length of a bucket in milliseconds. */
  size: number;
  buckets: number;
}

/** The most recent range, aligned to buckets, so that bars stay in place as time passes. */
function spanUpTo(now: number, range: Range): Span {
  const { ms, buckets } = RANGES[range];
  const size = ms / buckets;
  const end = Math.ceil((now + Math.min(size, STEP)) / size) * size;
  return { start: end - ms, end, size, buckets };
}

/** The range of the filter: up to now if it has no end, and of the given length if it has no start. */
function spanOf({ startDate, endDate }: RunFilter, ms: number, now: number): Span {
  const buckets = 90;
  // The end of a filter is inclusive.
  const end = endDate ? Date.parse(endDate) + 1 : now + STEP;
  const start = startDate ? Date.parse(startDate) : end - ms;
  return { start, end, size: (end - start) / buckets, buckets };
}

/** Poll interval in milliseconds during activity. */
const POLL_INTERVAL = 5_000;

interface Props {
  filter: RunFilter;
  /** Changes when runs are added or changed, which triggers a recount. */
  version: unknown;
  /** Filters the runs to a time range. */
  onPick: (from: string, to: string) => void;
}

/** Runs over time by current phase. */
export function DensityStrip({ filter, version, onPick }: Props) {
  const [range, setRange] = useState<Range>("24h");
  const mode = usePreference(timeMode);
  const now = useNow(true, STEP);
  const isFiltered = !!(filter.startDate ?? filter.endDate);
  const { start, end, size, buckets } = isFiltered
    ? spanOf(filter, RANGES[range].ms, now)
    : spanUpTo(now, range);
  const variables = {
    filter,
    startDate: new Date(start).toISOString(),
    endDate: new Date(end).toISOString(),
    buckets,
  };
  const [{ data, stale, error }, reload] = useQuery({ query: RunHistogram, variables, pause: end <= start });
  const [kept, setKept] = useState(data);
  if (data && data !== kept) setKept(data);
  const hasChanged = useRef(false);
  useEffect(() => {
    hasChanged.current = true;
  }, [version]);
  useEffect(() => {
    // Throttled, not debounced: with continuous changes a restarted timer would never fire.
    const timer = setInterval(() => {
      if (!hasChanged.current || document.hidden) return;
      hasChanged.current = false;
      reload({ requestPolicy: "network-only" });
    }, POLL_INTERVAL);
    return () => clearInterval(timer);
  }, [reload]);
  const bars = end > start ? ((data ?? kept)?.runHistogram ?? []) : [];
  const totals = bars.map(({ phaseCounts }) => phaseCounts.reduce((sum, { count }) => sum + count, 0));
  const most = Math.max(1, ...totals);
  const total = totals.reduce((sum, count) => sum + count, 0);
  return (
    <section className={classes.strip} aria-label="Runs over time">
      <div
        className={classes.bars}
        data-stale={stale}
        role="group"
        aria-label={isFiltered ? "Runs in the time range of the filter" : `Runs of the last ${range}`}
      >
        {bars.map(({ startDate, endDate, phaseCounts }, index) => {
          const count = totals[index] ?? 0;
          const when = formatTime(Date.parse(startDate), mode === "relative" ? "local" : mode, now);
          return (
            <button
              key={startDate}
              type="button"
              tabIndex={count ? 0 : -1}
              className={classes.slot}
              disabled={!count}
              title={`${when}, ${formatDuration(size)}: ${describeCounts(phaseCounts) || "no runs"}`}
              aria-label={`${when}: ${describeCounts(phaseCounts) || "no runs"}`}
              onClick={() => onPick(startDate, endDate)}
            >
              <span
                className={classes.bar}
                style={{ height: count ? `${Math.max(8, (count / most) * 100)}%` : 0 }}
              >
                {inBarOrder(phaseCounts).map(({ phase, count }) => (
                  <span key={phase} style={{ flexGrow: count, background: phaseStyle(phase).color }} />
                ))}
              </span>
            </button>
          );
        })}
      </div>
      <div className={classes.side}>
        <span className="nowrap number" data-testid="density-total">
          {error && !kept ? "not counted" : `${total.toLocaleString("en")} ${total === 1 ? "run" : "runs"}`}
        </span>
        {isFiltered ? (
          <span className="faint nowrap">time range of the filter</span>
        ) : (
          <>
            <label className="only-read" htmlFor="density-range">
              Over which time
            </label>
            <select
              id="density-range"
              className={classes.range}
              value={range}
              onChange={(event) => setRange(event.currentTarget.value as Range)}
            >
              {Object.keys(RANGES).map((name) => (
                <option key={name} value={name}>
                  last {name}
                </option>
              ))}
            </select>
          </>
        )}
      </div>
    </section>
  );
}
