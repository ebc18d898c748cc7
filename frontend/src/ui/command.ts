/**
 * Quotes a value as one shell argument: nothing in it is executed or expanded. For sh, bash, zsh, fish and
 * tcsh. Quotes, backslashes and exclamation marks are escaped outside the quotes: fish treats a backslash
 * within quotes as an escape, and tcsh expands `!` there.
 */
export function shellQuote(value: string): string {
  if (/^[\w@%+=:,./-]+$/.test(value)) return value;
  return value
    .split(/(['\\!])/)
    .map((part, index) => (index % 2 ? `\\${part}` : part && `'${part}'`))
    .join("");
}

/** A command with options as `--name=value` and arguments after `--`, since they may begin with a hyphen. */
export function shellCommand(command: string, options: Record<string, string>, ...rest: string[]): string {
  const named = Object.entries(options).map(([name, value]) => `--${name}=${shellQuote(value)}`);
  return [command, ...named, ...(rest.length ? ["--", ...rest.map(shellQuote)] : [])].join(" ");
}
