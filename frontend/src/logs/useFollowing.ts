import { type RefObject, useLayoutEffect, useRef } from "react";

/** Distance from the end in pixels that counts as the end. */
const NEAR = 24;

const UPWARDS = new Set(["ArrowUp", "PageUp", "Home"]);

/**
 * Keeps the end of a list in view while following. Scrolling up by hand ends that, scrolling to the end resumes it;
 * selected text stays where it is.
 */
export function useFollowing(
  scroller: RefObject<HTMLElement | null>,
  isFollowing: boolean,
  onFollow: (isFollowing: boolean) => void,
  isLive: boolean,
) {
  const byHand = useRef(false);
  // After each render: sizes become known only then.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!isFollowing || !element || hasSelection(element) || isAtEnd(element, 1)) return;
    byHand.current = false;
    element.scrollTo({ top: element.scrollHeight });
  });
  const touch = (): void => {
    byHand.current = true;
  };
  return {
    onTouchMove: touch,
    onPointerDown: touch,
    onWheel: ({ deltaY }: React.WheelEvent) => {
      touch();
      // At once: the next new line would scroll back.
      if (deltaY < 0 && isFollowing) onFollow(false);
    },
    onKeyDown: ({ key }: React.KeyboardEvent) => {
      touch();
      if (UPWARDS.has(key) && isFollowing) onFollow(false);
    },
    onScroll: () => {
      const element = scroller.current;
      if (!element || !byHand.current || !isLive) return;
      const isEnd = isAtEnd(element, NEAR);
      if (isEnd !== isFollowing) onFollow(isEnd);
    },
  };
}

const isAtEnd = ({ scrollHeight, scrollTop, clientHeight }: HTMLElement, within: number): boolean =>
  scrollHeight - scrollTop - clientHeight <= within;

function hasSelection(element: HTMLElement): boolean {
  const selection = document.getSelection();
  return !!selection && !selection.isCollapsed && element.contains(selection.anchorNode);
}
