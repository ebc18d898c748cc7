import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { shellCommand, shellQuote } from "../../src/ui/command";

const HOSTILE = [
  "x'; touch pwned; echo '",
  `"; touch pwned; "`,
  "$(touch pwned)",
  "`touch pwned`",
  "\\'; touch pwned; echo \\'",
  "x\\",
  "\\\\'",
  "a && touch pwned",
  "a | touch pwned",
  "> pwned",
  "!touch",
  "a'!touch pwned'",
  "#comment",
  "~",
  "*",
  "{a,b}",
  "$HOME ${HOME} %HOME%",
  "--run=other",
  "-x",
  "=ls",
  " leading and trailing ",
  "قياس 🙂 ‘curly’ “quotes”",
];

/** The arguments of the command as parsed by a shell. */
function argumentsIn(shell: string, folder: string, command: string): string[] {
  const printed = execFileSync(shell, ["-c", command], { cwd: folder, encoding: "utf8" });
  return printed.split("\0").slice(0, -1);
}

describe("quoting commands", () => {
  test.each(["sh", "bash"])("%s parses any names correctly", (shell) => {
    const folder = mkdtempSync(join(tmpdir(), "rungraph-shell-"));
    for (const name of HOSTILE) {
      const command = shellCommand("printf '%s\\0'", { project: name, run: name });
      expect(argumentsIn(shell, folder, command)).toEqual([`--project=${name}`, `--run=${name}`]);
    }
    expect(readdirSync(folder)).toEqual([]);
    expect(existsSync("pwned")).toBe(false);
  });

  test("escapes of fish and history of tcsh stay outside the quotes", () => {
    expect(shellQuote("a\\'b!")).toBe("'a'\\\\\\''b'\\!");
  });

  test("plain names are not quoted", () => {
    expect(shellCommand("rungraph watch", { project: "shop", run: "nightly-2026/03_15:a.b" })).toBe(
      "rungraph watch --project=shop --run=nightly-2026/03_15:a.b",
    );
  });
});
