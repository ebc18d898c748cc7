/** The levels of log lines, from least to most severe. */
export const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] as const;

export type Level = (typeof LEVELS)[number];

export const isLevel = (value: unknown): value is Level => LEVELS.includes(value as Level);

const WORDS: Record<string, Level> = {
  TRACE: "DEBUG",
  DEBUG: "DEBUG",
  DBG: "DEBUG",
  INFO: "INFO",
  INF: "INFO",
  NOTICE: "INFO",
  WARN: "WARNING",
  WARNING: "WARNING",
  WRN: "WARNING",
  ERROR: "ERROR",
  ERR: "ERROR",
  SEVERE: "ERROR",
  CRITICAL: "CRITICAL",
  CRIT: "CRITICAL",
  FATAL: "CRITICAL",
  PANIC: "CRITICAL",
};

/** How far into a line its level is looked for. */
const HEAD = 80;
const WORD =
  /(?<![\w./-])(?:TRACE|DEBUG|DBG|INFO|INF|NOTICE|WARN(?:ING)?|WRN|ERROR|ERR|SEVERE|CRIT(?:ICAL)?|FATAL|PANIC)(?![\w./=-])/;
const FIELD = /\b(?:level|lvl|severity)"?\s*[=:]\s*"?([a-z]+)/i;
/** Lines of glog and klog: the letter of the level, month and day. */
const GLOG = /^([IWEF])\d{4} \d\d:\d\d/;
const GLOG_LEVELS: Record<string, Level> = { I: "INFO", W: "WARNING", E: "ERROR", F: "CRITICAL" };
/** The last line of a Python or Java stack trace, and how others begin. */
const EXCEPTION =
  /^(?:Traceback \(most recent call last\)|(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Exit|Interrupt)(?::|$)|Exception in thread |panic: |Caused by: )/;
const LOWER = /^(?:\S+ ){0,2}(error|warning|fatal)(?:\[\w+\])?:\s/i;

/** Guesses the level of a line from its text without colours. It serves for colouring only. */
export function guessLevel(text: string): Level | null {
  const head = text.slice(0, HEAD);
  const glog = GLOG_LEVELS[GLOG.exec(head)?.[1] ?? ""];
  if (glog) return glog;
  const field = WORDS[FIELD.exec(head)?.[1]?.toUpperCase() ?? ""];
  if (field) return field;
  const word = WORDS[WORD.exec(head)?.[0] ?? ""];
  if (word) return word;
  if (EXCEPTION.test(head)) return "ERROR";
  const lower = LOWER.exec(head)?.[1]?.toUpperCase();
  return lower === undefined ? null : (WORDS[lower] ?? null);
}
