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

/** A command with options as `--name=value`, since a value may begin with a hyphen. */
export function shellCommand(command: string, options: Record<string, string>): string {
  return [command, ...Object.entries(options).map(([name, value]) => `--${name}=${shellQuote(value)}`)].join(
    " ",
  );
}
