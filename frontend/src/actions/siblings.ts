/** The sort key of siblings. */
interface Sibling {
  createdMs: number;
  name: string;
}

/** Inserts in order: oldest first, then by name. It is nearly always the last. */
export function insert<Line extends Sibling>(siblings: Line[], line: Line): void {
  let low = 0;
  let high = siblings.length;
  if (high && comesBefore(siblings[high - 1] as Line, line)) low = high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comesBefore(siblings[middle] as Line, line)) low = middle + 1;
    else high = middle;
  }
  siblings.splice(low, 0, line);
}

export function drop<Line extends Sibling>(siblings: Line[], line: Line): void {
  const at = siblings.indexOf(line);
  if (at >= 0) siblings.splice(at, 1);
}

function comesBefore(a: Sibling, b: Sibling): boolean {
  return a.createdMs === b.createdMs ? a.name <= b.name : a.createdMs < b.createdMs;
}
