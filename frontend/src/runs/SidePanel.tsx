import { useEffect, useRef, useState } from "react";
import { Preference, usePreference } from "../ui/preferences";
import classes from "./RunPage.module.css";

/** The width of the panel in pixels; null for the usual one. */
const panelWidth = new Preference<number | null>(
  "rungraph.panelWidth",
  null,
  (value): value is number | null => value === null || (typeof value === "number" && Number.isFinite(value)),
);

const NARROWEST = 320;
/** What remains for the actions, in pixels. */
const REST = 300;
/** What a key changes, in pixels. */
const STEP = 24;

/** The panel beside the actions, as wide as the user makes it. In a narrow window it covers them. */
export function SidePanel({ children }: { children: React.ReactNode }) {
  const panel = useRef<HTMLElement>(null);
  const kept = usePreference(panelWidth);
  const [dragged, setDragged] = useState<number | null>(null);
  const [size, setSize] = useState({ now: 0, most: 0 });
  useEffect(() => {
    const element = panel.current;
    const whole = element?.parentElement;
    if (!element || !whole) return;
    const measure = (): void =>
      setSize({ now: Math.round(element.offsetWidth), most: Math.max(NARROWEST, whole.clientWidth - REST) });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(whole);
    return () => observer.disconnect();
  }, []);
  const within = (width: number): number => Math.round(Math.min(size.most, Math.max(NARROWEST, width)));
  const width = dragged ?? kept;
  const keys: Record<string, number> = {
    ArrowLeft: size.now + STEP,
    ArrowRight: size.now - STEP,
    Home: NARROWEST,
    End: size.most,
  };
  return (
    <aside
      ref={panel}
      className={classes.panel}
      style={width === null ? undefined : ({ "--width": `${width}px` } as React.CSSProperties)}
    >
      <div
        role="separator"
        aria-orientation="vertical"
        aria-label="Width of the panel"
        aria-valuenow={size.now}
        aria-valuemin={NARROWEST}
        aria-valuemax={size.most}
        tabIndex={0}
        className={classes.resizer}
        title="Drag, or use the arrow keys; a double click restores the usual width"
        onKeyDown={(event) => {
          const next = keys[event.key];
          if (next === undefined) return;
          event.preventDefault();
          panelWidth.set(within(next));
        }}
        onDoubleClick={() => panelWidth.set(null)}
        onPointerDown={(event) => {
          if (event.button === 0) event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={(event) => {
          const edge = panel.current?.getBoundingClientRect().right;
          if (edge === undefined || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
          setDragged(within(edge - event.clientX));
        }}
        onLostPointerCapture={() => {
          if (dragged !== null) panelWidth.set(dragged);
          setDragged(null);
        }}
      />
      {children}
    </aside>
  );
}
