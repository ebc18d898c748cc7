import { useNow } from "./clock";
import { formatDuration, formatTicking } from "./durations";

interface Props {
  from: string | null | undefined;
  /** Without an end and with `ticks`, it counts up. */
  to?: string | null | undefined;
  ticks?: boolean;
}

/** A duration, or the elapsed time. */
export function Duration({ from, to, ticks = true }: Props) {
  const growing = ticks && !!from && !to;
  const now = useNow(growing);
  if (!from || (!to && !ticks)) return <span className="faint">–</span>;
  const start = Date.parse(from);
  if (to) return <span className="nowrap number">{formatDuration(Date.parse(to) - start)}</span>;
  return <span className="nowrap number">{formatTicking(Math.max(0, now - start))}</span>;
}
