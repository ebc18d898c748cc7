import { BLOCK, PAGE } from "./allLines";
import {
  type Block,
  type Line,
  type LogFilter,
  type LogLines,
  type Page,
  type Range,
  type ReadLog,
  blockAt,
  matches,
} from "./lines";

/** Blocks that are kept; beyond that the farthest are read again when they are needed. */
const KEPT = 100;

/**
 * The lines of a log that match a filter. How many there are is not known, so that a part of them is loaded, which
 * grows at both ends.
 */
export class MatchingLines implements LogLines {
  blocks: Block[] = [];
  hasBefore = false;
  hasAfter = false;
  private isLoaded = false;
  /** The numbers within which all lines that match are loaded. */
  private start = 1;
  end = 0;
  private readonly loaded = new Map<string, Line[]>();
  private reading: Promise<void> | null = null;

  /** `changed` is called after each change, `failed` if lines could not be read. */
  constructor(
    private readonly read: ReadLog,
    private readonly filter: LogFilter,
    private readonly changed: () => void,
    private readonly failed: (reason: unknown) => void,
  ) {}

  linesOf(block: Block): readonly Line[] | null {
    return this.loaded.get(block.key) ?? null;
  }

  show(from: number, to: number): void {
    if (!this.isLoaded || this.reading) return;
    if (to >= this.blocks.length - 1 && this.hasAfter) void this.alone(() => this.loadAfter());
    else if (from <= 0 && this.hasBefore) void this.alone(() => this.loadBefore());
  }

  async reveal(number: number): Promise<number> {
    await this.alone(async () => {
      const isKnown = number >= this.start && number <= (this.hasAfter ? this.end : Infinity);
      if (this.isLoaded && isKnown) return;
      const [earlier, later] = await Promise.all([
        this.readRange({ before: number, last: BLOCK }),
        this.readRange({ after: number - 1, first: PAGE }),
      ]);
      this.replace([earlier, later], earlier.hasMore, later.hasMore);
    });
    return blockAt(this.blocks, number);
  }

  async revealStart(): Promise<void> {
    await this.reveal(1);
  }

  async revealEnd(): Promise<void> {
    await this.alone(async () => {
      if (this.isLoaded && !this.hasAfter) return;
      const page = await this.readRange({ last: PAGE });
      this.replace([page], page.hasMore, false);
    });
  }

  append(lines: readonly Line[]): void {
    if (!this.isLoaded || this.hasAfter) return;
    const added = lines.filter((line) => line.number > this.end && matches(line, this.filter));
    this.end = Math.max(this.end, lines.at(-1)?.number ?? 0);
    if (!added.length) return;
    this.add(added);
    this.forget("start");
    this.changed();
  }

  private async loadAfter(): Promise<void> {
    const page = await this.readRange({ after: this.end, first: PAGE });
    this.hasAfter = page.hasMore;
    this.end = Math.max(this.end, page.end);
    this.add(page.lines);
    this.forget("start");
    this.changed();
  }

  private async loadBefore(): Promise<void> {
    const page = await this.readRange({ before: this.start, last: PAGE });
    this.hasBefore = page.hasMore;
    this.start = Math.min(this.start, page.start);
    this.blocks = [...this.toBlocks(page.lines), ...this.blocks];
    this.forget("end");
    this.changed();
  }

  private readRange(range: Range) {
    return this.read(range, this.filter);
  }

  private replace(pages: readonly Page[], hasBefore: boolean, hasAfter: boolean): void {
    this.loaded.clear();
    this.blocks = [];
    this.hasBefore = hasBefore;
    this.hasAfter = hasAfter;
    this.isLoaded = true;
    this.start = pages[0]?.start ?? 1;
    this.end = pages.at(-1)?.end ?? 0;
    this.add(pages.flatMap((page) => page.lines));
    this.changed();
  }

  /** Adds lines at the end; the last block is filled up first. */
  private add(lines: readonly Line[]): void {
    const last = this.blocks.at(-1);
    const room = last ? BLOCK - last.count : 0;
    const known = last && room > 0 ? (this.loaded.get(last.key) ?? []) : [];
    const before = last && room > 0 ? this.blocks.slice(0, -1) : this.blocks;
    this.blocks = [...before, ...this.toBlocks([...known, ...lines])];
  }

  private toBlocks(lines: readonly Line[]): Block[] {
    const blocks: Block[] = [];
    for (let at = 0; at < lines.length; at += BLOCK) {
      const part = lines.slice(at, at + BLOCK);
      const first = part[0]?.number ?? 0;
      const key = String(first);
      this.loaded.set(key, part);
      blocks.push({ key, first, last: part.at(-1)?.number ?? first, count: part.length, kind: "lines" });
    }
    return blocks;
  }

  /** Drops the blocks at one end that are too many. */
  private forget(end: "start" | "end"): void {
    const excess = this.blocks.length - KEPT;
    if (excess <= 0) return;
    const dropped = end === "start" ? this.blocks.slice(0, excess) : this.blocks.slice(-excess);
    this.blocks = end === "start" ? this.blocks.slice(excess) : this.blocks.slice(0, -excess);
    for (const { key } of dropped) this.loaded.delete(key);
    if (end === "start") {
      this.hasBefore = true;
      this.start = this.blocks[0]?.first ?? this.start;
    } else {
      this.hasAfter = true;
      this.end = this.blocks.at(-1)?.last ?? this.end;
    }
  }

  /** One change at a time, in order. */
  private alone(change: () => Promise<void>): Promise<void> {
    const run = async (): Promise<void> => {
      try {
        await change();
      } catch (reason) {
        this.failed(reason);
      }
    };
    const reading = this.reading ? this.reading.then(run) : run();
    this.reading = reading.finally(() => {
      if (this.reading === done) this.reading = null;
    });
    const done = this.reading;
    return done;
  }
}
