import { formatTicking } from "../ui/durations";
import { formatRelative } from "../ui/times";

/** What is known of the executor of a run. */
export interface Lease {
  executor?: string | null | undefined;
  leaseExpiresAt?: string | null | undefined;
  lastReportedAt?: string | null | undefined;
}

/** How long a run without a lease may say nothing before the page mentions it, in milliseconds. */
const SILENT_AFTER = 5 * 60_000;

export interface LeaseState {
  kind: "held" | "expired" | "silent";
  text: string;
  explanation: string;
}

/** What the page says of the lease of a run that has not ended, or of its silence; null if there is nothing to say. */
export function describeLease({ leaseExpiresAt, lastReportedAt }: Lease, now: number): LeaseState | null {
  if (leaseExpiresAt) {
    const left = Date.parse(leaseExpiresAt) - now;
    return left > 0
      ? {
          kind: "held",
          text: `lease ends in ${formatTicking(left)}`,
          explanation:
            "The executor renews its lease while it is alive. If it does not, the run ends as failed.",
        }
      : {
          kind: "expired",
          text: `lease ended ${formatRelative(now + left, now)}`,
          explanation: "The executor did not renew its lease. The server ends the run as failed.",
        };
  }
  const silence = lastReportedAt ? now - Date.parse(lastReportedAt) : 0;
  return silence < SILENT_AFTER
    ? null
    : {
        kind: "silent",
        text: `silent for ${formatTicking(silence)}`,
        explanation:
          "Nothing was reported for that long. The executor has no lease, so the run stays as it is.",
      };
}
