import { ProblemError, problemOf } from "../../live/errors";
import { Value } from "../../ui/value";
import { plainText } from "../ansi";
import type { Line, Page, ReadLog } from "../lines";
import type { LogSource } from "../log";
import { LineIndex, decode, linesIn } from "./lineIndex";

/** Bytes of a file from a place to another one, which is not included, and the size of the file. */
export type ReadBytes = (from: number, to: number) => Promise<{ bytes: Uint8Array; total: number }>;

/** Bytes that are read first, as one scrolls, and on the way to a line that is far away. */
const FIRST_PART = 256 * 1024;
const NEXT_PART = 1024 * 1024;
const FAR_PART = 4 * 1024 * 1024;
/** Lines that are searched, or saved, at a time. */
const MANY_LINES = 20_000;
/** Parts that are kept, so that what was just read is not read again. */
const KEPT_PARTS = 2;
/** How often the end of a log that may grow is looked at, in milliseconds. */
const PACE = 3_000;

/** How many bytes of a log have been read, and how many it has. */
export interface Extent {
  read: number;
  total: number;
}

/**
 * A log at a link, read in ranges of bytes. Only the beginning is read, and further parts as one goes there: the
 * number of a line is known once all before it was read. Of what was read only places are kept.
 */
export class LinkedLog implements LogSource {
  readonly readAtOnce = MANY_LINES;
  readonly extent = new Value<Extent>({ read: 0, total: 0 });
  private readonly index = new LineIndex();
  private isComplete = false;
  private hasFailed = false;
  private extending: Promise<void> | null = null;
  private recent: { from: number; bytes: Uint8Array }[] = [];
  private watcher: Parameters<LogSource["follow"]>[1] | null = null;

  /** `isGrowing`: the log may get further lines. */
  constructor(
    private readonly readBytes: ReadBytes,
    private isGrowing: boolean,
  ) {}

  /** Reads the beginning. Rejects if that fails. */
  open(): Promise<void> {
    return this.extend(FIRST_PART);
  }

  setGrowing(isGrowing: boolean): void {
    if (isGrowing === this.isGrowing) return;
    this.isGrowing = isGrowing;
    this.lookForMore();
  }

  reach = async (number: number): Promise<void> => {
    if (this.hasFailed) await this.extend(FIRST_PART);
    while (!this.isComplete && this.index.lineCount < number) await this.extend(FAR_PART);
  };

  findError = async (): Promise<number | null> => {
    while (!this.isComplete && this.index.firstError === null) await this.extend(FAR_PART);
    return this.index.firstError;
  };

  read: ReadLog = async (range, _, search) => {
    const count = search === undefined ? undefined : MANY_LINES;
    const page =
      range.first === undefined
        ? await this.before(range.before, count ?? range.last)
        : await this.after(range.after ?? 0, count ?? range.first);
    if (search === undefined) return page;
    const term = search.toLowerCase();
    const found = page.lines.filter(({ text }) => plainText(text).toLowerCase().includes(term));
    return { ...page, lines: range.first === undefined ? found.slice(-1) : found.slice(0, 1) };
  };

  follow: LogSource["follow"] = (_, watcher) => {
    this.watcher = watcher;
    const timer = setInterval(() => {
      if (this.isGrowing && this.isComplete && !document.hidden) this.lookForMore();
    }, PACE);
    return () => {
      clearInterval(timer);
      this.watcher = null;
    };
  };

  private async after(after: number, count: number): Promise<Page> {
    await this.reach(after + count);
    const last = Math.min(after + count, this.index.lineCount);
    const lines = await this.lines(after + 1, last, false);
    const end = lines.at(-1)?.number ?? after;
    if (end >= this.index.lineCount && !this.isComplete) this.lookForMore();
    const hasMore = end < this.index.lineCount || !this.isComplete;
    return { ...this.page(lines), start: after + 1, end, hasMore };
  }

  private async before(before: number | undefined, count: number): Promise<Page> {
    await this.reach(before === undefined ? Infinity : before - 1);
    const last = Math.min((before ?? Infinity) - 1, this.index.lineCount);
    const lines = await this.lines(Math.max(1, last - count + 1), last, true);
    const start = lines[0]?.number ?? 1;
    return { ...this.page(lines), start, end: last, hasMore: start > 1 };
  }

  private page(lines: readonly Line[]) {
    const { lineCount, firstError } = this.index;
    return { lines, lineCount, firstError, omitted: [] };
  }

  private async lines(first: number, last: number, keepsEnd: boolean): Promise<Line[]> {
    if (first > last) return [];
    const { from, to, number } = this.index.placeOf(first, last, FAR_PART, keepsEnd);
    const bytes = await this.bytes(from, to);
    const lines: Line[] = [];
    let at = number;
    for (const [start, end] of linesIn(bytes, true)) {
      if (at >= first && at <= last) {
        lines.push({ number: at, stream: "", at: "", level: null, text: decode(bytes.subarray(start, end)) });
      }
      at += 1;
    }
    return lines;
  }

  private async bytes(from: number, to: number): Promise<Uint8Array> {
    for (const part of this.recent) {
      if (part.from <= from && to <= part.from + part.bytes.length) {
        return part.bytes.subarray(from - part.from, to - part.from);
      }
    }
    const bytes = new Uint8Array(to - from);
    // The server may give less at a time.
    for (let at = 0; at < bytes.length;) {
      const part = (await this.readBytes(from + at, to)).bytes.subarray(0, bytes.length - at);
      if (!part.length) {
        throw new ProblemError({ code: "LOG_CHANGED", message: "The log is shorter than it was." });
      }
      bytes.set(part, at);
      at += part.length;
    }
    this.keep(from, bytes);
    return bytes;
  }

  private keep(from: number, bytes: Uint8Array): void {
    this.recent = [{ from, bytes }, ...this.recent].slice(0, KEPT_PARTS);
  }

  /** Reads on, unless that is being done; the watcher gets a failure. */
  private lookForMore(): void {
    void this.extend(NEXT_PART).catch((reason: unknown) => this.watcher?.failed(problemOf(reason)));
  }

  private extend(size: number): Promise<void> {
    this.extending ??= this.readOn(size).finally(() => {
      this.extending = null;
    });
    return this.extending;
  }

  private async readOn(size: number): Promise<void> {
    const { end } = this.index;
    // At the end a byte that is known, since a range without any byte is refused.
    const from = this.isComplete && end > 0 && end === this.extent.get().total ? end - 1 : end;
    this.hasFailed = true;
    const { bytes, total } = await this.readBytes(from, from + size);
    this.hasFailed = false;
    const added = bytes.subarray(end - from);
    this.isComplete = bytes.length === 0 || from + bytes.length >= total;
    this.index.add(added, this.isComplete && !this.isGrowing);
    // A line that is longer than what the server gives at a time.
    if (this.index.end === end && !this.isComplete) this.index.add(added, true);
    if (added.length) this.keep(end, added);
    this.extent.set({ read: this.isComplete ? total : this.index.end, total });
    const { lineCount, firstError } = this.index;
    this.watcher?.next({ lines: [], lineCount, firstError, omitted: [] });
  }
}
