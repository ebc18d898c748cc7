import classes from "./PhaseBadge.module.css";
import { phaseStyle } from "./phases";

interface Props {
  phase: string;
  /** Only the icon, for narrow places; the name is the accessible label and tooltip. */
  small?: boolean;
  /** Why it is in that phase, for the tooltip. */
  reason?: string | undefined;
}

export function PhaseBadge({ phase, small = false, reason }: Props) {
  const { label, color, sign } = phaseStyle(phase);
  const isRunning = phase === "RUNNING";
  return (
    <span
      className={`${small ? classes.small : classes.badge} ${isRunning ? classes.running : ""}`}
      style={{ "--phase": color } as React.CSSProperties}
      title={reason ? `${label}: ${reason}` : small ? label : undefined}
      data-phase={phase}
    >
      <span className={classes.sign} aria-hidden>
        {sign}
      </span>
      {small ? <span className="only-read">{label}</span> : label}
    </span>
  );
}
