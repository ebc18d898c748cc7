import { useNow } from "../ui/clock";
import { usePreference } from "../ui/preferences";
import { phaseStyle, words } from "../ui/phases";
import { timeMode } from "../ui/timeMode";
import { formatTime, parseTime } from "../ui/times";
import { parseDuration } from "../ui/durations";
import classes from "./RunsPage.module.css";
import { type RunSearch, chipsOf } from "./runSearch";

interface Props {
  search: RunSearch;
  onChange: (search: RunSearch) => void;
}

/** The active filters as removable chips. */
export function FilterChips({ search, onChange }: Props) {
  const mode = usePreference(timeMode);
  const now = useNow(false, 60_000);
  const show = (name: keyof RunSearch, value: string): string => {
    if (name === "phase" || name === "not") return phaseStyle(value).label.toLowerCase();
    if (name === "source") return words(value).toLowerCase();
    if (name !== "from" && name !== "to") return value;
    if (parseDuration(value) !== null) return `${value} ago`;
    const ms = parseTime(value, mode === "utc");
    return Number.isNaN(ms) ? value : formatTime(ms, mode === "relative" ? "local" : mode, now);
  };
  const chips = chipsOf(search, show);
  if (!chips.length) return null;
  return (
    <div className={classes.chips} role="group" aria-label="Filter">
      {chips.map(({ key, label, without }) => (
        <span key={key} className={classes.chip}>
          <span className="cut">{label}</span>
          <button type="button" aria-label={`Remove ${label}`} onClick={() => onChange(without)}>
            ×
          </button>
        </span>
      ))}
      <button
        type="button"
        className="link-button"
        onClick={() => onChange({ q: search.q, sort: search.sort })}
      >
        Clear all
      </button>
    </div>
  );
}
