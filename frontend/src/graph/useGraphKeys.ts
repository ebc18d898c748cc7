import { useHotkeys } from "../ui/hotkeys";
import type { GraphCamera } from "./useCamera";
import type { PlacedGraph } from "./useGraph";
import { type Direction, walk } from "./walk";

interface Options {
  placed: PlacedGraph | null;
  /** The node at the keyboard cursor. */
  at: string | null;
  setCursor: (id: string) => void;
  camera: GraphCamera;
  fold: (id: string) => void;
  content: React.RefObject<HTMLElement | null>;
}

/** Keyboard navigation of the graph. */
export function useGraphKeys({ placed, at, setCursor, camera, fold, content }: Options): void {
  const go = (to: Direction): void => {
    if (!placed || at === null) return;
    const focused = content.current?.contains(document.activeElement);
    // The first press shows where the cursor is.
    const next = focused ? walk(placed, at, to) : at;
    const box = next === null ? undefined : placed.layout.boxes[next];
    if (next === null || !box) return;
    setCursor(next);
    camera.reveal(box);
    const element = content.current?.querySelector(`[data-node=${CSS.escape(next)}] > button`);
    (element as HTMLElement | null)?.focus({ preventScroll: true });
  };
  useHotkeys([
    { keys: "ArrowRight", what: "Go to what depends on the action", run: () => go("right") },
    { keys: "ArrowLeft", what: "Go to what the action depends on", run: () => go("left") },
    { keys: "ArrowDown", what: "Next node below, or into the open node", run: () => go("down") },
    { keys: "ArrowUp", what: "Next node above, or out of the open node", run: () => go("up") },
    { keys: "o", what: "Expand or collapse the node", run: () => at !== null && fold(at) },
    { keys: "+", what: "Zoom in on the graph", run: () => camera.zoomBy(1.4) },
    { keys: "-", what: "Zoom out of the graph", run: () => camera.zoomBy(1 / 1.4) },
    { keys: "0", what: "Fit the graph", run: () => camera.fit() },
  ]);
}
