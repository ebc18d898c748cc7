import { useNow } from "./clock";
import { usePreference } from "./preferences";
import { timeMode } from "./timeMode";
import { describeTime, formatTime } from "./times";

interface Props {
  /** RFC 3339, or null. */
  value: string | null | undefined;
}

/** A time in the user's format; the tooltip has all formats. */
export function Time({ value }: Props) {
  const mode = usePreference(timeMode);
  const ms = value ? Date.parse(value) : NaN;
  const ticks = mode === "relative";
  const isRecent = useNow(ticks, 15_000) - ms < 60_000;
  const now = useNow(ticks, isRecent ? 1_000 : 15_000);
  if (Number.isNaN(ms)) return <span className="faint">–</span>;
  return (
    <time dateTime={value ?? undefined} title={describeTime(ms, now)} className="nowrap">
      {formatTime(ms, mode, now)}
    </time>
  );
}
