/**
 * The value as one argument of a shell command, whatever it holds: nothing in it is executed or expanded.
 *
 * For sh, bash, zsh, fish and tcsh. Quotes, backslashes and exclamation marks stand outside the quotes, each
 * behind a backslash: fish treats a backslash within quotes as an escape, and tcsh expands `!` there.
 */
export function shellQuote(value: string): string {
  if (/^[\w@%+=:,./-]+$/.test(value)) return value;
  return value
    .split(/(['\\!])/)
    .map((part, index) => (index % 2 ? `\\${part}` : part && `'${part}'`))
    .join("");
}

/** A command with options, each in one argument with its value: a value may begin with a hyphen. */
export function shellCommand(command: string, options: Record<string, string>): string {
  return [command, ...Object.entries(options).map(([name, value]) => `--${name}=${shellQuote(value)}`)].join(
    " ",
  );
}
