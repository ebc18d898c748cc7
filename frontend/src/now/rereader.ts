import { type Problem, problemOf } from "../live/errors";

/** Minimum milliseconds between two reads. */
const PACE = 1_000;
/** The pause after a read, as a multiple of its duration: large data is read less often. */
const REST = 10;

/** Reads data again whenever it is asked to, one read at a time, with rests between them. */
export class Rereader<Data> {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isReading = false;
  private isAsked = false;
  private isOver = false;
  private readyAt = 0;

  constructor(
    private readonly read: () => Promise<Data>,
    private readonly done: (data: Data | null, problem: Problem | null) => void,
  ) {}

  ask = (): void => {
    this.isAsked = true;
    if (this.isReading || this.isOver) return;
    this.timer ??= setTimeout(() => void this.run(), Math.max(0, this.readyAt - Date.now()));
  };

  /** Reads again if it was asked to meanwhile. */
  private askAgain(): void {
    if (this.isAsked) this.ask();
  }

  stop(): void {
    this.isOver = true;
    clearTimeout(this.timer);
  }

  private async run(): Promise<void> {
    this.timer = undefined;
    this.isReading = true;
    this.isAsked = false;
    const began = Date.now();
    try {
      const data = await this.read();
      if (!this.isOver) this.done(data, null);
    } catch (error) {
      if (!this.isOver) this.done(null, problemOf(error));
    }
    this.readyAt = Date.now() + Math.max(PACE, (Date.now() - began) * REST);
    this.isReading = false;
    this.askAgain();
  }
}
