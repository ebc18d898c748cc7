import { Duration } from "../ui/Duration";
import { hasEnded } from "../ui/phases";

interface Props {
  action: { phase: string; createdAt: string; startedAt?: string | null; endedAt?: string | null };
  /** When the run ended; null while it is in progress. */
  runEnd: string | null;
}

/** How long an action ran, or has been waiting; never beyond the end of the run. */
export function RunTime({ action: { phase, createdAt, startedAt, endedAt }, runEnd }: Props) {
  if (phase === "SKIPPED" && !startedAt) return <span className="faint">never ran</span>;
  if (endedAt || hasEnded(phase))
    return <Duration from={startedAt ?? createdAt} to={endedAt} ticks={false} />;
  if (runEnd === null) return <Duration from={startedAt ?? createdAt} />;
  return startedAt ? <Duration from={startedAt} to={runEnd} /> : <span className="faint">never ran</span>;
}
