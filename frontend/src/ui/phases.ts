/** What the page knows of a phase. One that it does not know is shown by its name, in grey. */
export interface PhaseLook {
  label: string;
  /** The CSS variable with its colour: see theme.css. */
  color: string;
  /** A sign that tells it apart without colour, from blocks of Unicode that the fonts of every system have. */
  sign: string;
  ended: boolean;
}

const look = (label: string, color: string, sign: string, ended = false): PhaseLook => ({
  label,
  color: `var(--phase-${color})`,
  sign,
  ended,
});

const LOOKS: Record<string, PhaseLook> = {
  QUEUED: look("Queued", "queued", "○"),
  WAITING_FOR_RESOURCES: look("Waiting", "waiting", "◔"),
  INITIALIZING: look("Initializing", "initializing", "◑"),
  RUNNING: look("Running", "running", "●"),
  PAUSED: look("Paused", "paused", "‖"),
  SUCCEEDED: look("Succeeded", "succeeded", "✓", true),
  RECOVERED: look("Recovered", "recovered", "↺", true),
  FAILED: look("Failed", "failed", "✕", true),
  TIMED_OUT: look("Timed out", "timed-out", "!", true),
  ABORTED: look("Aborted", "aborted", "■", true),
};

/** All known phases, in the order in which bars and lists show them. */
export const PHASES: readonly string[] = Object.keys(LOOKS);

/** The order in which a progress bar is filled: what is over first, what is still to come last. */
export const BAR_ORDER: readonly string[] = [
  "SUCCEEDED",
  "RECOVERED",
  "FAILED",
  "TIMED_OUT",
  "ABORTED",
  "RUNNING",
  "PAUSED",
  "INITIALIZING",
  "WAITING_FOR_RESOURCES",
  "QUEUED",
];

/** `SOME_NAME` as words. */
export function words(name: string): string {
  if (name === "CLI") return name;
  const text = name.replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function phaseLook(phase: string): PhaseLook {
  const known = Object.hasOwn(LOOKS, phase) ? LOOKS[phase] : undefined;
  return known ?? { label: words(phase), color: "var(--phase-unknown)", sign: "?", ended: false };
}

export function hasEnded(phase: string): boolean {
  return phaseLook(phase).ended;
}
