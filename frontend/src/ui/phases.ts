/** The presentation of a phase. Unknown phases are shown by name, in grey. */
export interface PhaseStyle {
  label: string;
  /** The CSS variable of its colour; see theme.css. */
  color: string;
  /** A symbol that distinguishes it without colour, from Unicode blocks that every system's fonts have. */
  sign: string;
  ended: boolean;
}

const style = (label: string, color: string, sign: string, ended = false): PhaseStyle => ({
  label,
  color: `var(--phase-${color})`,
  sign,
  ended,
});

const STYLES: Record<string, PhaseStyle> = {
  QUEUED: style("Queued", "queued", "○"),
  WAITING_FOR_RESOURCES: style("Waiting", "waiting", "◔"),
  INITIALIZING: style("Initializing", "initializing", "◑"),
  RUNNING: style("Running", "running", "●"),
  PAUSED: style("Paused", "paused", "‖"),
  SUCCEEDED: style("Succeeded", "succeeded", "✓", true),
  RECOVERED: style("Recovered", "recovered", "↺", true),
  SKIPPED: style("Skipped", "skipped", "⇥", true),
  FAILED: style("Failed", "failed", "✕", true),
  TIMED_OUT: style("Timed out", "timed-out", "!", true),
  ABORTED: style("Aborted", "aborted", "■", true),
};

/** All known phases in display order. */
export const PHASES: readonly string[] = Object.keys(STYLES);

/** The order of a progress bar: finished phases first, pending last. */
export const BAR_ORDER: readonly string[] = [
  "SUCCEEDED",
  "RECOVERED",
  "SKIPPED",
  "FAILED",
  "TIMED_OUT",
  "ABORTED",
  "RUNNING",
  "PAUSED",
  "INITIALIZING",
  "WAITING_FOR_RESOURCES",
  "QUEUED",
];

/** Turns `SOME_NAME` into words. */
export function words(name: string): string {
  if (name === "CLI") return name;
  const text = name.replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function phaseStyle(phase: string): PhaseStyle {
  const known = Object.hasOwn(STYLES, phase) ? STYLES[phase] : undefined;
  return known ?? { label: words(phase), color: "var(--phase-unknown)", sign: "?", ended: false };
}

export function hasEnded(phase: string): boolean {
  return phaseStyle(phase).ended;
}
