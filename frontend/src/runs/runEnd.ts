import { hasEnded } from "../ui/phases";

interface Times {
  phase: string;
  createdAt: string;
  startedAt?: string | null;
  endedAt?: string | null;
}

/** When a run ended; null while it is in progress or unknown. */
export function endOf({ phase, createdAt, startedAt, endedAt }: Times): string | null {
  return hasEnded(phase) ? (endedAt ?? startedAt ?? createdAt) : null;
}
