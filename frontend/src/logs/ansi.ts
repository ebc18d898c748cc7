import Anser from "anser";

/** A part of a line in one style. Colours are RGB, 0 to 255; null is the default. */
export interface Part {
  text: string;
  /** Adjusted to the theme when drawn; exact on a background. */
  color: Rgb | null;
  background: Rgb | null;
  isBold: boolean;
  isDim: boolean;
  isItalic: boolean;
  isUnderlined: boolean;
  isStruck: boolean;
}

export type Rgb = readonly [red: number, green: number, blue: number];

/** Operating system commands (titles, hyperlinks), device controls: up to their terminator. */
const STRINGS = /\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)/g; // eslint-disable-line no-control-regex
/** Every other sequence, such as moving the cursor, but not colours. */
const SEQUENCES = /\x1b(?:\[(?![\d;:]*m)[\x20-\x3f]*(?:[\x40-\x7e]|$)|[\x20-\x2f]*[\x30-\x5a\x5c-\x7e]|$)/g; // eslint-disable-line no-control-regex
/** Colours in the form with colons, maybe with a colour space. */
const COLONS = /\x1b\[([\d;:]*:[\d;:]*)m/g; // eslint-disable-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g; // eslint-disable-line no-control-regex
/** What is left of broken sequences. */
const OTHERS = /\x1b(?!\[[\d;]*m)/g; // eslint-disable-line no-control-regex
const COLORS = /\x1b\[[\d;]*m/g; // eslint-disable-line no-control-regex

/** The text with colours as the only escape sequences. */
function clean(raw: string): string {
  if (!/[\x00-\x08\x0b-\x1f\x7f]/.test(raw)) return raw; // eslint-disable-line no-control-regex
  const text = raw
    .replace(STRINGS, "")
    .replace(SEQUENCES, "")
    .replace(
      COLONS,
      (_, codes: string) => `\x1b[${codes.replace(/(\b[34]8:2):\d*:/g, "$1;").replaceAll(":", ";")}m`,
    );
  // A terminal shows what was written last: progress bars return to the start of the line.
  const end = text.replace(/\r+$/, "");
  return end
    .slice(end.lastIndexOf("\r") + 1)
    .replace(CONTROLS, "")
    .replace(OTHERS, "");
}

/** What a person reads and copies of a line. */
export function plainText(raw: string): string {
  return clean(raw).replace(COLORS, "");
}

/** The parts of a line. They are text, never markup. */
export function partsOf(raw: string): Part[] {
  const text = clean(raw);
  if (!text.includes("\x1b")) return text ? [part(text)] : [];
  const found: Part[] = [];
  for (const { content, fg, bg, decorations } of Anser.ansiToJson(text, { json: true, remove_empty: true })) {
    found.push({
      ...part(content),
      ...colors(rgb(fg), rgb(bg)),
      isBold: decorations.includes("bold"),
      isDim: decorations.includes("dim"),
      isItalic: decorations.includes("italic"),
      isUnderlined: decorations.includes("underline"),
      isStruck: decorations.includes("strikethrough"),
    });
  }
  return found;
}

const part = (text: string): Part => ({
  text,
  color: null,
  background: null,
  isBold: false,
  isDim: false,
  isItalic: false,
  isUnderlined: false,
  isStruck: false,
});

function rgb(color: string | null): Rgb | null {
  const [red, green, blue] = (color ?? "").split(",").map(Number);
  return red === undefined || green === undefined || blue === undefined ? null : [red, green, blue];
}

/** Text on a background stays readable: it is black or white if the contrast is too low. */
function colors(color: Rgb | null, background: Rgb | null): Pick<Part, "color" | "background"> {
  if (!background || (color && contrast(color, background) >= MIN_CONTRAST)) return { color, background };
  const isLight = contrast(BLACK, background) > contrast(WHITE, background);
  return { color: isLight ? BLACK : WHITE, background };
}

const BLACK: Rgb = [0, 0, 0];
const WHITE: Rgb = [255, 255, 255];
const MIN_CONTRAST = 4.5;

/** The contrast of two colours by WCAG: 1 to 21. */
function contrast(one: Rgb, other: Rgb): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (value: number): number =>
    value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/** Cuts parts at the matches of a search, so that these can be marked. */
export function markMatches(parts: readonly Part[], term: string): { part: Part; isMatch: boolean }[] {
  const matches = matchesOf(parts.map(({ text }) => text).join(""), term);
  const found: { part: Part; isMatch: boolean }[] = [];
  let start = 0;
  for (const part of parts) {
    const end = start + part.text.length;
    let at = start;
    const add = (to: number, isMatch: boolean): void => {
      if (to > at) found.push({ part: { ...part, text: part.text.slice(at - start, to - start) }, isMatch });
      at = Math.max(at, to);
    };
    for (const [from, to] of matches) {
      if (to <= at) continue;
      if (from >= end) break;
      add(from, false);
      add(Math.min(to, end), true);
    }
    add(end, false);
    start = end;
  }
  return found;
}

/** Where the term occurs, regardless of case. */
export function matchesOf(text: string, term: string): [from: number, to: number][] {
  const matches: [number, number][] = [];
  if (!term) return matches;
  const pattern = new RegExp(term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "giu");
  for (const { index, 0: found } of text.matchAll(pattern)) {
    matches.push([index, index + found.length]);
    if (matches.length >= MAX_MATCHES) break;
  }
  return matches;
}

/** Matches marked in a line. */
const MAX_MATCHES = 500;
