import { useEffect, useState } from "react";
import { type Camera, READABLE, type Size, fitted, shifted, zoomedAt } from "./camera";
import type { Box, Point } from "./layout";
import { useCameraPointer } from "./useCameraPointer";

/**
 * The part of the graph that is shown. Moves the content's style itself, so that nothing renders while the pointer
 * moves. Until the user zooms or pans it shows all, or as much as can be read.
 */
export class GraphCamera {
  private now: Camera = { x: 0, y: 0, scale: 1 };
  /** The least scale at which it fits the graph by itself; null once the user moved it. */
  private least: number | null = READABLE;
  private size: Size | null = null;
  private frame: HTMLElement | null = null;
  private content: HTMLElement | null = null;

  attach(frame: HTMLElement | null, content: HTMLElement | null): void {
    [this.frame, this.content] = [frame, content];
  }

  /** The graph has this size now. */
  resize(size: Size | null = this.size): void {
    this.size = size;
    if (this.least !== null) this.fit(this.least);
  }

  /** Zooms in (above 1) or out, around the middle or a point of the window. */
  zoomBy(factor: number, at?: Point): void {
    const { width, height } = this.window();
    this.move(zoomedAt(this.now, factor, at ?? { x: width / 2, y: height / 2 }));
  }

  panBy(x: number, y: number): void {
    this.move({ ...this.now, x: this.now.x + x, y: this.now.y + y });
  }

  /** Shows all, and goes on to do so when the graph or the window changes. */
  fit(least = 0): void {
    if (this.size) this.move(fitted(this.size, this.window(), least || undefined), least);
  }

  /** Moves as little as needed for the box to be in sight. */
  reveal(box: Box): void {
    const next = shifted(this.now, box, this.window());
    if (next) this.move(next);
  }

  /** Keeps in place what moved within the graph, unless all is shown. */
  follow(before: Box, now: Box): void {
    if (this.least !== null) return;
    this.panBy((before.x - now.x) * this.now.scale, (before.y - now.y) * this.now.scale);
  }

  private window(): Size {
    return { width: this.frame?.clientWidth ?? 0, height: this.frame?.clientHeight ?? 0 };
  }

  private move(next: Camera, least: number | null = null): void {
    this.now = next;
    this.least = least;
    if (!this.content) return;
    this.content.style.transform = `translate(${next.x}px, ${next.y}px) scale(${next.scale})`;
    this.content.dataset.scale = next.scale.toFixed(3);
  }
}

/** The camera of a window onto a graph of this size. */
export function useCamera(
  frame: React.RefObject<HTMLElement | null>,
  content: React.RefObject<HTMLElement | null>,
  size: Size | null,
): GraphCamera {
  const [camera] = useState(() => new GraphCamera());
  useEffect(() => {
    camera.attach(frame.current, content.current);
    const observer = new ResizeObserver(() => camera.resize());
    if (frame.current) observer.observe(frame.current);
    return () => {
      observer.disconnect();
      camera.attach(null, null);
    };
  }, [camera, frame, content]);
  useEffect(() => camera.resize(size), [camera, size]);
  useCameraPointer(frame, camera);
  return camera;
}
