import { Value } from "../ui/value";

/** The end of a pause that the server requested by rate limiting. */
export class RateLimitPause {
  /** In milliseconds since 1970. */
  readonly until = new Value(0);

  /** Starts a pause of that many seconds. */
  start(seconds: number): void {
    this.until.set(Math.max(this.until.get(), Date.now() + seconds * 1_000));
    void this.wait().then(() => this.until.set(0));
  }

  /** The remaining milliseconds of the pause. */
  get remaining(): number {
    return Math.max(0, this.until.get() - Date.now());
  }

  /** Resolves at the end of the pause. */
  async wait(): Promise<void> {
    while (this.remaining) await new Promise((resolve) => setTimeout(resolve, this.remaining));
  }
}

/** The pause in seconds if the server does not specify one. */
const DEFAULT_SECONDS = 5;

/** The seconds to wait according to `Retry-After`. */
export function retryAfter(headers: Headers): number {
  const header = headers.get("Retry-After");
  if (header === null) return DEFAULT_SECONDS;
  const seconds = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - Date.now()) / 1_000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : DEFAULT_SECONDS;
}
