import { useLayoutEffect, useRef } from "react";
import classes from "./CutMiddle.module.css";

/** Characters at the end of a name that are always shown: the names of siblings often differ only in these. */
const TAIL = 10;

/**
 * A name, cut in the middle where there is too little room for it.
 *
 * The text is in the document once and whole, so that it is copied, found and read out as it is. Only what is
 * drawn changes: an ellipsis, and the end of the name beside it as generated content.
 */
export function CutMiddle({ text }: { text: string }) {
  const name = useRef<HTMLElement>(null);
  useLayoutEffect(() => {
    const element = name.current;
    if (!element) return;
    sizes.observe(element);
    return () => sizes.unobserve(element);
  }, [text]);
  return (
    <bdi ref={name} className={classes.name} data-tail={tailOf(text)} title={text}>
      <span className={classes.text}>{text}</span>
    </bdi>
  );
}

/** Marks the names that have too little room. One observer, since a list shows many names. */
const sizes = new ResizeObserver((entries) => {
  // All are measured before the first is changed, or each would be laid out on its own.
  const cut = entries.map(({ target }) => {
    const isCut = (target.firstElementChild?.scrollWidth ?? 0) > target.clientWidth;
    // Where the end alone would leave no room for the beginning, the name is cut at its end.
    return isCut && tailWidth(target) < target.clientWidth * 0.7;
  });
  entries.forEach(({ target }, index) => target.toggleAttribute("data-cut", cut[index]));
});

/** How wide the end of a name is, in pixels. */
function tailWidth(name: Element): number {
  const text = name.firstElementChild?.firstChild;
  const length = text?.textContent?.length;
  if (!text || !length) return 0;
  const range = document.createRange();
  range.setStart(text, length - (name.getAttribute("data-tail") ?? "").length);
  range.setEnd(text, length);
  return range.getBoundingClientRect().width;
}

const graphemes = "Segmenter" in Intl ? new Intl.Segmenter() : null;

/** The last characters, as people count them: an emoji of several code points is one. */
export function tailOf(text: string): string {
  // No character has more code units than this, so that a name of any length costs little.
  const end = text.slice(-TAIL * 16);
  const characters = graphemes
    ? Array.from(graphemes.segment(end), ({ segment }) => segment)
    : Array.from(end);
  return characters.slice(-TAIL).join("");
}
