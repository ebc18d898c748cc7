import classes from "./PhaseBar.module.css";
import { BAR_ORDER, phaseLook } from "./phases";

interface Count {
  phase: string;
  count: number;
}

/** The counts in the order of a bar, without zeros; phases that are not known come last. */
export function inBarOrder(counts: readonly Count[]): Count[] {
  const place = (phase: string): number => {
    const index = BAR_ORDER.indexOf(phase);
    return index < 0 ? BAR_ORDER.length : index;
  };
  return counts.filter(({ count }) => count > 0).sort((a, b) => place(a.phase) - place(b.phase));
}

/** What the counts say, in words. */
export function describeCounts(counts: readonly Count[]): string {
  return inBarOrder(counts)
    .map(({ phase, count }) => `${count.toLocaleString("en")} ${phaseLook(phase).label.toLowerCase()}`)
    .join(", ");
}

/** How many are in which phase, as a bar. */
export function PhaseBar({ counts, label }: { counts: readonly Count[]; label?: string }) {
  const parts = inBarOrder(counts);
  const words = describeCounts(parts);
  const text = label ? `${label}: ${words}` : words;
  return (
    <span className={classes.bar} role="img" aria-label={text || "nothing yet"} title={text}>
      {parts.map(({ phase, count }) => (
        <span key={phase} style={{ flexGrow: count, background: phaseLook(phase).color }} />
      ))}
    </span>
  );
}
