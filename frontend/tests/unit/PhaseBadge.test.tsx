// @vitest-environment happy-dom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import { PhaseBadge } from "../../src/ui/PhaseBadge";

afterEach(cleanup);

test("a phase is shown by symbol and name, not by colour alone", () => {
  const { container } = render(<PhaseBadge phase="TIMED_OUT" />);
  expect(container.textContent).toBe("!Timed out");
  const badge = container.firstElementChild as HTMLElement;
  expect(badge.style.getPropertyValue("--phase")).toBe("var(--phase-timed-out)");
  expect(badge.dataset.phase).toBe("TIMED_OUT");
  expect(screen.getByText("!").getAttribute("aria-hidden")).toBe("true");
});

test("in narrow places the name is announced, and shown on hover", () => {
  render(<PhaseBadge phase="RUNNING" small />);
  expect(screen.getByText("Running").className).toBe("only-read");
  expect(screen.getByTitle("Running")).toBeTruthy();
});

test("an unknown phase is shown by its name in grey", () => {
  const { container } = render(<PhaseBadge phase="DEEP_SLEEP" />);
  expect(container.textContent).toBe("?Deep sleep");
  const badge = container.firstElementChild as HTMLElement;
  expect(badge.style.getPropertyValue("--phase")).toBe("var(--phase-unknown)");
});
