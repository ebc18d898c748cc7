import { Value } from "../ui/value";

/** Until when the server wants to be left alone, as it told somebody who asked too often. */
export class Patience {
  /** In milliseconds since 1970. */
  readonly until = new Value(0);

  /** The server asks for a pause of so many seconds. */
  pause(seconds: number): void {
    this.until.set(Math.max(this.until.get(), Date.now() + seconds * 1_000));
    void this.wait().then(() => this.until.set(0));
  }

  /** Milliseconds that are left of the pause. */
  get left(): number {
    return Math.max(0, this.until.get() - Date.now());
  }

  /** Comes back once the pause is over. */
  async wait(): Promise<void> {
    while (this.left) await new Promise((resolve) => setTimeout(resolve, this.left));
  }
}

/** Seconds of pause where the server does not say how long. */
const UNTOLD = 5;

/** Seconds that an answer asks to wait, by its header. */
export function retryAfter(headers: Headers): number {
  const told = headers.get("Retry-After");
  if (told === null) return UNTOLD;
  const seconds = /^\d+$/.test(told.trim()) ? Number(told) : (Date.parse(told) - Date.now()) / 1_000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : UNTOLD;
}
