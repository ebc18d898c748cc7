import { useLayoutEffect, useRef } from "react";
import classes from "./CutMiddle.module.css";

/** The number of characters at the end of a name that stay visible: sibling names often differ only there. */
const TAIL = 10;

/**
 * A name, truncated in the middle if it does not fit. The DOM has the whole text once, so that it can be
 * copied, found and announced. Only the rendering changes: an ellipsis, and the end of the name as generated
 * content.
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

/** Marks names that do not fit. One observer, since lists have many names. */
const sizes = new ResizeObserver((entries) => {
  // All are measured before any is changed, to avoid a layout for each.
  const cut = entries.map(({ target }) => {
    const isCut = (target.firstElementChild?.scrollWidth ?? 0) > target.clientWidth;
    // If the end alone fills the width, the name is truncated at its end.
    return isCut && tailWidth(target) < target.clientWidth * 0.7;
  });
  entries.forEach(({ target }, index) => target.toggleAttribute("data-cut", cut[index]));
});

/** The width of a name's end in pixels. */
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

/** The last grapheme clusters: an emoji of several code points is one. */
export function tailOf(text: string): string {
  // An upper bound on the code units of a grapheme, so that long names stay cheap.
  const end = text.slice(-TAIL * 16);
  const characters = graphemes
    ? Array.from(graphemes.segment(end), ({ segment }) => segment)
    : Array.from(end);
  return characters.slice(-TAIL).join("");
}
