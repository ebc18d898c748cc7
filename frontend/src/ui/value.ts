import { useSyncExternalStore } from "react";

/** An observable value. */
export class Value<T> {
  private readonly listeners = new Set<() => void>();

  constructor(private current: T) {}

  get = (): T => this.current;

  set(next: T): void {
    if (Object.is(next, this.current)) return;
    this.current = next;
    for (const listener of [...this.listeners]) listener();
  }

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
}

/** The current value; the component renders when it changes. */
export function useValue<T>(value: Value<T>): T {
  return useSyncExternalStore(value.listen, value.get);
}
