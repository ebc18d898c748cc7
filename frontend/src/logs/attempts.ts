/** Attempts that are offered. */
const MOST = 100;

/** The numbers of the attempts of an action, oldest first: the newest up to the latest one, and the known ones. */
export function attemptNumbers(latest: number, known: readonly number[]): number[] {
  const first = Math.max(1, latest - MOST + 1);
  const newest = Array.from({ length: Math.max(0, latest - first + 1) }, (_, at) => first + at);
  return [...new Set([...newest, ...known])].sort((one, other) => one - other);
}
