import { useSyncExternalStore } from "react";

/** A preference stored in this browser and shared by its windows. */
export class Preference<T> {
  private readonly listeners = new Set<() => void>();
  private text: string | null | undefined;
  private value: T;

  constructor(
    private readonly key: string,
    private readonly fallback: T,
    private readonly isValid: (value: unknown) => value is T,
  ) {
    this.value = fallback;
    if (typeof window !== "undefined") {
      window.addEventListener("storage", (event) => {
        if (event.key === this.key || event.key === null) this.notify();
      });
    }
  }

  get = (): T => {
    const text = read(this.key);
    if (text !== this.text) {
      this.text = text;
      this.value = this.parse(text);
    }
    return this.value;
  };

  set(value: T): void {
    try {
      localStorage.setItem(this.key, JSON.stringify(value));
    } catch {
      // Storage is full or forbidden: kept until the page is closed.
      this.text = read(this.key);
      this.value = value;
    }
    this.notify();
  }

  listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private parse(text: string | null): T {
    if (text === null) return this.fallback;
    try {
      const value: unknown = JSON.parse(text);
      return this.isValid(value) ? value : this.fallback;
    } catch {
      return this.fallback;
    }
  }

  private notify(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function usePreference<T>(preference: Preference<T>): T {
  return useSyncExternalStore(preference.listen, preference.get);
}
