import { Batch } from "../live/batch";
import { type Problem, problemOf } from "../live/errors";
import { AllLines } from "./allLines";
import { type Gap, type Line, type LogFilter, type LogLines, type ReadLog, isFiltered } from "./lines";
import { MatchingLines } from "./matchingLines";

/** New lines of a log. */
export interface Added {
  lines: readonly Line[];
  /** The number of the last line. */
  lineCount: number;
  firstError: number | null;
  omitted: readonly Gap[];
}

/** Where a log comes from. */
export interface LogSource {
  read: ReadLog;
  /** Lines that `read` gives at a time for a copy of all. */
  readAtOnce?: number;
  /** Makes the log known as far as a number, or to its end, if it is not known to begin with. */
  reach?: (number: number) => Promise<void>;
  /** The number of the first error, for which it reads on. */
  findError?: () => Promise<number | null>;
  /** Lines after a number as they arrive, until the returned function is called. */
  follow: (
    after: number,
    watcher: { next: (added: Added) => void; failed: (problem: Problem) => void },
  ) => () => void;
}

/** Where reading begins. */
export type Start = "start" | "end" | number;

/** A log that is shown: its lines as far as they are needed, and new ones. */
export class Log {
  readonly batch = new Batch();
  /** Increases with each change. */
  version = 0;
  readonly lines: LogLines;
  /** The number of the last line; null until it is known. */
  lineCount: number | null = null;
  firstError: number | null = null;
  problem: Problem | null = null;
  private stop: (() => void) | null = null;
  private searches = 0;

  constructor(
    private readonly source: LogSource,
    readonly filter: LogFilter,
  ) {
    const changed = (): void => this.change();
    const failed = (reason: unknown): void => this.fail(reason);
    this.lines = isFiltered(filter)
      ? new MatchingLines(this.read, filter, changed, failed)
      : new AllLines(this.read, changed, failed);
  }

  /** Reads the first lines, calls `ready`, and follows new lines until the returned function is called. */
  open(at: Start, ready: () => void): () => void {
    let isOver = false;
    void this.reveal(at).then(() => {
      if (isOver || this.lineCount === null) return;
      ready();
      this.stop = this.source.follow(this.lines.hasAfter ? this.lineCount : this.lines.end, {
        next: (added) => this.add(added),
        failed: (problem) => {
          this.problem = problem;
          this.change();
        },
      });
    });
    return () => {
      isOver = true;
      this.stop?.();
    };
  }

  /** Makes a line available; whether there is one. */
  async reveal(at: Start): Promise<boolean> {
    this.problem = null;
    try {
      await this.source.reach?.(at === "start" ? 1 : at === "end" ? Infinity : at);
    } catch (reason) {
      this.fail(reason);
      return false;
    }
    if (at === "end") {
      await this.lines.revealEnd();
      return true;
    }
    return (await this.lines.reveal(at === "start" ? 1 : at)) >= 0;
  }

  /**
   * The number of the next line with the text, or of the one before; from the other end if there is none. Null if
   * no line has it, undefined if another search has begun meanwhile.
   */
  async find(term: string, from: number, direction: 1 | -1): Promise<number | null | undefined> {
    this.searches += 1;
    const search = this.searches;
    const isLatest = (): boolean => search === this.searches;
    try {
      const found = await this.scan(term, from, direction, isLatest);
      if (found !== null) return found;
      return await this.scan(term, direction > 0 ? 0 : Infinity, direction, isLatest);
    } catch (reason) {
      this.fail(reason);
      return undefined;
    }
  }

  /** Whether the first error can be looked for, though none is known yet. */
  get findsErrors(): boolean {
    return this.source.findError !== undefined;
  }

  /** The number of the first error; null if there is none, undefined if that could not be read. */
  async findError(): Promise<number | null | undefined> {
    if (this.firstError !== null) return this.firstError;
    try {
      return (await this.source.findError?.()) ?? null;
    } catch (reason) {
      this.fail(reason);
      return undefined;
    }
  }

  /** All lines that match the filter, in parts; `isWanted` ends it. */
  async *all(isWanted: () => boolean): AsyncGenerator<{ lines: readonly Line[]; omitted: readonly Gap[] }> {
    for (let after = 0; isWanted();) {
      const first = this.source.readAtOnce ?? READ_AT_ONCE;
      const page = await this.read({ after, first }, this.filter);
      yield page;
      if (!page.hasMore || page.end <= after) return;
      after = page.end;
    }
  }

  private async scan(term: string, from: number, direction: 1 | -1, isLatest: () => boolean) {
    for (let at = from; ;) {
      const range =
        direction > 0 ? { after: at, first: 1 } : { last: 1, before: Number.isFinite(at) ? at : undefined };
      const page = await this.read(range, this.filter, term);
      if (!isLatest()) return undefined;
      const [line] = page.lines;
      if (line) return line.number;
      const next = direction > 0 ? page.end : page.start;
      // The server reads a part of a long log at a time.
      if (!page.hasMore || next === at) return null;
      at = next;
    }
  }

  private readonly read: ReadLog = async (range, filter, search) => {
    const page = await this.source.read(range, filter, search);
    this.lineCount = Math.max(this.lineCount ?? 0, page.lineCount);
    this.firstError = page.firstError;
    return page;
  };

  private add({ lines, lineCount, firstError, omitted }: Added): void {
    this.lineCount = Math.max(this.lineCount ?? 0, lineCount);
    this.firstError = firstError;
    if (this.lines instanceof AllLines) this.lines.resize(lineCount, omitted);
    this.lines.append(lines);
    this.change();
  }

  private fail(reason: unknown): void {
    this.problem = problemOf(reason);
    this.change();
  }

  private change(): void {
    this.version += 1;
    this.batch.touchAll();
  }
}

/** Lines read at a time for a download. */
const READ_AT_ONCE = 1_000;
