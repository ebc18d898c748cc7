import classes from "./PhaseBar.module.css";
import { BAR_ORDER, phaseStyle } from "./phases";

interface Count {
  phase: string;
  count: number;
}

/** The non-zero counts in bar order; unknown phases last. */
export function inBarOrder(counts: readonly Count[]): Count[] {
  const place = (phase: string): number => {
    const index = BAR_ORDER.indexOf(phase);
    return index < 0 ? BAR_ORDER.length : index;
  };
  return counts.filter(({ count }) => count > 0).sort((a, b) => place(a.phase) - place(b.phase));
}

/** The counts as text. */
export function describeCounts(counts: readonly Count[]): string {
  return inBarOrder(counts)
    .map(({ phase, count }) => `${count.toLocaleString("en")} ${phaseStyle(phase).label.toLowerCase()}`)
    .join(", ");
}

/** A bar of counts by phase. */
export function PhaseBar({ counts, label }: { counts: readonly Count[]; label?: string }) {
  const parts = inBarOrder(counts);
  const words = describeCounts(parts);
  const text = label ? `${label}: ${words}` : words;
  return (
    <span className={classes.bar} role="img" aria-label={text || "nothing yet"} title={text}>
      {parts.map(({ phase, count }) => (
        <span key={phase} style={{ flexGrow: count, background: phaseStyle(phase).color }} />
      ))}
    </span>
  );
}
