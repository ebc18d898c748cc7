/** An SVG path through points over time, and where it ends; `margin` is kept free on all sides. */
export function sparklinePath(
  points: readonly { at: number; value: number }[],
  width: number,
  height: number,
  margin: number,
): { line: string; end: [x: number, y: number] | null } {
  const shown = points.filter(({ at, value }) => Number.isFinite(at) && Number.isFinite(value));
  if (!shown.length) return { line: "", end: null };
  const range = (values: number[]): [low: number, span: number] => {
    const low = values.reduce((a, b) => Math.min(a, b));
    return [low, values.reduce((a, b) => Math.max(a, b)) - low];
  };
  const [start, time] = range(shown.map(({ at }) => at));
  const [low, span] = range(shown.map(({ value }) => value));
  const round = (value: number): number => Math.round(value * 10) / 10;
  const places = shown.map(({ at, value }): [number, number] => [
    round(margin + (time ? (at - start) / time : 0.5) * (width - 2 * margin)),
    round(height - margin - (span ? (value - low) / span : 0.5) * (height - 2 * margin)),
  ]);
  const line = places.map(([x, y], at) => `${at ? "L" : "M"}${x} ${y}`).join("");
  return { line, end: places.at(-1) ?? null };
}
