/**
 * Notifies listeners of changes at most once per animation frame: 200 updates a second cause at most 60
 * renders, and one a second while the page is hidden.
 */
export class Batch {
  private readonly byKey = new Map<string, Set<() => void>>();
  private readonly ofAll = new Set<() => void>();
  private changed = new Set<string>();
  private all = false;
  private scheduled = false;

  constructor(private readonly schedule: (flush: () => void) => void = nextFrame) {}

  listen(key: string, listener: () => void): () => void {
    const listeners = this.byKey.get(key) ?? new Set();
    this.byKey.set(key, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (!listeners.size && this.byKey.get(key) === listeners) this.byKey.delete(key);
    };
  }

  /** Notified of changes that concern no single key: order, counts, state. */
  listenToAll = (listener: () => void): (() => void) => {
    this.ofAll.add(listener);
    return () => this.ofAll.delete(listener);
  };

  touch(key: string): void {
    if (!this.byKey.has(key)) return;
    this.changed.add(key);
    this.request();
  }

  touchAll(): void {
    this.all = true;
    this.request();
  }

  /** Notifies the listeners now of all pending changes. */
  flush = (): void => {
    this.scheduled = false;
    const { changed, all } = this;
    this.changed = new Set();
    this.all = false;
    for (const key of changed) for (const listener of [...(this.byKey.get(key) ?? [])]) listener();
    if (all) for (const listener of [...this.ofAll]) listener();
  };

  private request(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.schedule(this.flush);
  }
}

/** On the next animation frame; a hidden page has none, so a timer replaces it. */
function nextFrame(flush: () => void): void {
  let done = false;
  const once = (): void => {
    if (done) return;
    done = true;
    clearTimeout(timer);
    flush();
  };
  const timer = setTimeout(once, 1_000);
  requestAnimationFrame(once);
}
