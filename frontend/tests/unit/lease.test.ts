import { expect, test } from "vitest";
import { describeLease } from "../../src/runs/lease";

const NOW = Date.parse("2026-01-01T12:00:00Z");
const at = (seconds: number): string => new Date(NOW + seconds * 1_000).toISOString();

test.each([
  [{ leaseExpiresAt: at(42) }, "held", "lease ends in 42 s"],
  [{ leaseExpiresAt: at(-90), lastReportedAt: at(0) }, "expired", "lease ended 1 m ago"],
  [{ lastReportedAt: at(-720) }, "silent", "silent for 12 m 00 s"],
] as const)("%j", (lease, kind, text) => {
  expect(describeLease(lease, NOW)).toMatchObject({ kind, text });
});

test.each([[{}], [{ lastReportedAt: at(-200) }], [{ leaseExpiresAt: null, lastReportedAt: at(5) }]])(
  "nothing to say of %j",
  (lease) => {
    expect(describeLease(lease, NOW)).toBeNull();
  },
);
