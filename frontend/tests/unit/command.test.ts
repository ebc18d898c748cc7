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

/** The arguments of each command as parsed by a shell. One process: starting one may take half a second. */
function argumentsIn(shell: string, folder: string, commands: string[]): string[][] {
  const script = commands.join("\nprintf '\\0'\n");
  const printed = execFileSync(shell, ["-c", script], { cwd: folder, encoding: "utf8" });
  return printed
    .slice(0, -1)
    .split("\0\0")
    .map((each) => each.split("\0"));
}

describe("quoting commands", () => {
  test.each(["sh", "bash"])("%s parses any names correctly", (shell) => {
    const folder = mkdtempSync(join(tmpdir(), "rungraph-shell-"));
    const commands = HOSTILE.map((name) =>
      shellCommand("printf '%s\\0'", { project: name, run: name }, name),
    );
    const parsed = HOSTILE.map((name) => [`--project=${name}`, `--run=${name}`, "--", name]);
    expect(argumentsIn(shell, folder, commands)).toEqual(parsed);
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
