// @vitest-environment happy-dom
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Duration } from "../../src/ui/Duration";
import { Time } from "../../src/ui/Time";
import { timeMode } from "../../src/ui/timeMode";

const NOW = Date.UTC(2026, 5, 15, 12);

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  act(() => timeMode.set("relative"));
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  localStorage.clear();
});

const pass = (ms: number): void => {
  act(() => {
    vi.advanceTimersByTime(ms);
  });
};

describe("Time", () => {
  const shown = (): string | null => screen.getByRole("time").textContent;

  test("it follows the preference at once, everywhere", () => {
    render(<Time value="2026-06-15T09:00:00Z" />);
    expect(shown()).toBe("3 h ago");
    act(() => timeMode.set("local"));
    expect(shown()).toBe("06:30:00");
    act(() => timeMode.set("utc"));
    expect(shown()).toBe("09:00:00 UTC");
  });

  test("in any mode, the tooltip has all formats and the dateTime attribute the original", () => {
    render(<Time value="2026-06-15T09:00:00.123456Z" />);
    for (const mode of ["relative", "local", "utc"] as const) {
      act(() => timeMode.set(mode));
      const { title, dateTime } = screen.getByRole<HTMLTimeElement>("time");
      expect(title).toContain("2026-06-15T09:00:00.123Z");
      expect(title).toContain("2026-06-15 06:30:00");
      expect(title).toContain("2 h ago");
      expect(dateTime).toBe("2026-06-15T09:00:00.123456Z");
    }
  });

  test("recent times update every second, older ones less often", () => {
    render(<Time value={new Date(NOW).toISOString()} />);
    expect(shown()).toBe("now");
    pass(7_000);
    expect(shown()).toBe("7 s ago");
    pass(1_000);
    expect(shown()).toBe("8 s ago");
    pass(52_000);
    expect(shown()).toBe("1 m ago");
    pass(60_000);
    expect(shown()).toBe("2 m ago");
  });

  test("an absolute time does not tick", () => {
    act(() => timeMode.set("utc"));
    render(<Time value="2026-06-15T09:00:00Z" />);
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([null, undefined, "", "nonsense"])("%j is a dash", (value) => {
    const { container } = render(<Time value={value} />);
    expect(container.textContent).toBe("–");
  });
});

describe("Duration", () => {
  const ago = (ms: number): string => new Date(NOW - ms).toISOString();

  test("it grows every second until the end", () => {
    const { container, rerender } = render(<Duration from={ago(5_400)} />);
    expect(container.textContent).toBe("5 s");
    pass(1_000);
    expect(container.textContent).toBe("6 s");
    pass(60_000);
    expect(container.textContent).toBe("1 m 06 s");
    rerender(<Duration from={ago(5_400)} to={ago(1_000)} />);
    expect(container.textContent).toBe("4.4 s");
    pass(60_000);
    expect(container.textContent).toBe("4.4 s");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("all tick together by one timer, which stops with the last of them", () => {
    const { unmount } = render(
      <>
        <Duration from={ago(0)} />
        <Duration from={ago(10_000)} />
      </>,
    );
    expect(vi.getTimerCount()).toBe(1);
    unmount();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("a server clock that is ahead gives no negative duration", () => {
    const { container } = render(<Duration from={ago(-5_000)} />);
    expect(container.textContent).toBe("0 s");
  });

  test("without a start, or without an end when not ticking, it is a dash", () => {
    const { container, rerender } = render(<Duration from={null} />);
    expect(container.textContent).toBe("–");
    rerender(<Duration from={ago(1)} ticks={false} />);
    expect(container.textContent).toBe("–");
    rerender(<Duration from={ago(1_500)} to={ago(0)} ticks={false} />);
    expect(container.textContent).toBe("1.5 s");
    expect(vi.getTimerCount()).toBe(0);
  });
});
