import {
  type Block,
  type Gap,
  type Line,
  type LogFilter,
  type LogLines,
  type Range,
  type ReadLog,
  blockAt,
  mergeGaps,
} from "./lines";

/** Lines rendered together. */
export const BLOCK = 100;
/** Lines read at a time. */
export const PAGE = 5 * BLOCK;
/** Blocks whose lines are kept, so that memory is bounded. */
const KEPT = 200;

const ALL: LogFilter = { stream: undefined, levels: [] };

/**
 * A log without filter: the position of each line is known from its number, so that one can scroll anywhere at
 * once, and only what is visible is read.
 */
export class AllLines implements LogLines {
  blocks: Block[] = [];
  readonly hasBefore = false;
  readonly hasAfter = false;
  private lineCount = 0;
  private omitted: readonly Gap[] = [];
  private readonly loaded = new Map<number, Line[]>();
  private visible: [from: number, to: number] = [0, 0];
  private reading: Promise<void> | null = null;

  /** `changed` is called after each change, `failed` if lines could not be read. */
  constructor(
    private readonly read: ReadLog,
    private readonly changed: () => void,
    private readonly failed: (reason: unknown) => void,
  ) {}

  /** The size of the log is known, or has changed; gaps are added to the known ones. */
  resize(lineCount: number, gaps: readonly Gap[]): void {
    const omitted = mergeGaps([...this.omitted, ...gaps]);
    const isSame =
      omitted.length === this.omitted.length && omitted.every((gap, at) => isEqual(gap, this.omitted[at]));
    if (isSame && lineCount <= this.lineCount) return;
    const from = isSame ? this.lineCount : 0;
    this.lineCount = Math.max(lineCount, this.lineCount);
    this.omitted = omitted;
    // Blocks before the change stay as they are.
    const kept = from ? this.blocks.slice(0, -1) : [];
    this.blocks = [...kept, ...blocksFrom((kept.at(-1)?.last ?? 0) + 1, this.lineCount, omitted)];
    this.changed();
  }

  get end(): number {
    return this.lineCount;
  }

  linesOf(block: Block): readonly Line[] | null {
    return this.loaded.get(block.first) ?? null;
  }

  show(from: number, to: number): void {
    this.visible = [from, to];
    void this.load();
  }

  async reveal(number: number): Promise<number> {
    if (!this.blocks.length) await this.begin({ after: firstOfBlock(number) - 1, first: PAGE });
    const at = blockAt(this.blocks, number);
    if (at < 0) return -1;
    this.visible = [at, at];
    await this.load();
    return at;
  }

  async revealEnd(): Promise<void> {
    if (!this.blocks.length) await this.begin({ last: PAGE });
    const end = this.blocks.length - 1;
    this.visible = [end, end];
    await this.load();
  }

  append(lines: readonly Line[]): void {
    const last = lines.at(-1)?.number ?? 0;
    if (last > this.lineCount) this.resize(last, []);
    let isChanged = false;
    for (const line of lines) {
      const block = this.blocks[blockAt(this.blocks, line.number)];
      if (!block || block.kind === "omitted") continue;
      const known = this.loaded.get(block.first) ?? [];
      const next = (known.at(-1)?.number ?? block.first - 1) + 1;
      // After a hole the block is read when it is visible.
      if (line.number !== next) continue;
      // Copied once for each frame: what is rendered does not change in place.
      if (!isChanged || !this.fresh.has(known)) {
        const copy = [...known];
        this.fresh.add(copy);
        this.loaded.set(block.first, copy);
        copy.push(line);
      } else known.push(line);
      isChanged = true;
    }
    this.fresh = new WeakSet();
    if (isChanged) this.changed();
  }

  /** The copies made for the frame that is applied. */
  private fresh = new WeakSet<Line[]>();

  /** The first lines read also tell how many there are. */
  private async begin(range: Range): Promise<void> {
    try {
      const page = await this.read(range, ALL);
      this.resize(page.lineCount, page.omitted);
      this.put(page.lines);
      this.changed();
    } catch (reason) {
      this.failed(reason);
    }
  }

  /** Loads what is visible; one request at a time, always for what is visible by then. */
  private load(): Promise<void> {
    this.reading ??= this.loadVisible().finally(() => {
      this.reading = null;
    });
    return this.reading;
  }

  private async loadVisible(): Promise<void> {
    for (let missing = this.missing(); missing; missing = this.missing()) {
      const { first } = missing;
      const before = this.loaded.get(first)?.length ?? 0;
      try {
        const page = await this.read({ after: first - 1, first: PAGE }, ALL);
        this.resize(page.lineCount, page.omitted);
        this.put(page.lines);
      } catch (reason) {
        this.failed(reason);
        return;
      }
      this.forget();
      this.changed();
      const hasMore = (this.loaded.get(first)?.length ?? 0) > before;
      // The server has fewer lines than it said: not repeated for ever.
      if (!hasMore && this.missing()?.first === first) return;
    }
  }

  /** The first visible block that lacks lines. */
  private missing(): Block | undefined {
    const [from, to] = this.visible;
    return this.blocks
      .slice(Math.max(0, from), to + 1)
      .find((block) => block.kind === "lines" && (this.loaded.get(block.first)?.length ?? 0) < block.count);
  }

  private put(lines: readonly Line[]): void {
    const byBlock = new Map<number, Line[]>();
    for (const line of lines) {
      const block = this.blocks[blockAt(this.blocks, line.number)];
      if (!block || block.kind === "omitted") continue;
      const known = byBlock.get(block.first);
      if (known) known.push(line);
      else byBlock.set(block.first, [line]);
    }
    for (const [first, read] of byBlock) {
      // Lines may have been appended meanwhile.
      const known = this.loaded.get(first);
      // The end of a page may be in the middle of a block, and lines may have been appended meanwhile.
      if (read[0]?.number === first && read.length >= (known?.length ?? 0)) this.loaded.set(first, read);
    }
  }

  /** Drops the lines that are farthest from what is visible. */
  private forget(): void {
    if (this.loaded.size <= KEPT) return;
    const middle = this.blocks[(this.visible[0] + this.visible[1]) >> 1]?.first ?? 0;
    const far = [...this.loaded.keys()].sort((a, b) => Math.abs(b - middle) - Math.abs(a - middle));
    for (const first of far.slice(0, this.loaded.size - KEPT)) this.loaded.delete(first);
  }
}

const firstOfBlock = (number: number): number => Math.floor((number - 1) / BLOCK) * BLOCK + 1;

const isEqual = (one: Gap, other: Gap | undefined): boolean =>
  one.first === other?.first && one.last === other.last;

/** The blocks of the lines from a number on: whole hundreds, cut where lines were omitted. */
export function blocksFrom(from: number, lineCount: number, omitted: readonly Gap[]): Block[] {
  const blocks: Block[] = [];
  const add = (first: number, last: number): void => {
    for (let at = first; at <= last;) {
      const end = Math.min(last, Math.ceil(at / BLOCK) * BLOCK);
      blocks.push({ key: String(at), first: at, last: end, count: end - at + 1, kind: "lines" });
      at = end + 1;
    }
  };
  let next = from;
  for (const { first, last } of omitted) {
    if (last < next || first > lineCount) continue;
    add(next, first - 1);
    const start = Math.max(first, next);
    blocks.push({ key: `omitted ${first}`, first: start, last, count: last - first + 1, kind: "omitted" });
    next = last + 1;
  }
  add(next, lineCount);
  return blocks;
}
