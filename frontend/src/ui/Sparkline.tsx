import { sparklinePath } from "./sparklinePath";

interface Props {
  points: readonly { at: number; value: number }[];
  label: string;
}

const WIDTH = 120;
const HEIGHT = 24;

/** The course of a value over time. */
export function Sparkline({ points, label }: Props) {
  const { line, end } = sparklinePath(points, WIDTH, HEIGHT, 3);
  return (
    <svg
      width={WIDTH}
      height={HEIGHT}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      role="img"
      aria-label={label}
      data-points={points.length}
    >
      <title>{label}</title>
      <path d={line} fill="none" stroke="var(--accent)" strokeWidth="1.5" strokeLinejoin="round" />
      {end ? <circle cx={end[0]} cy={end[1]} r="2.5" fill="var(--accent)" /> : null}
    </svg>
  );
}
