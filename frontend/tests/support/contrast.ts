import type { Locator } from "playwright-core";

/**
 * Texts with too little contrast by WCAG: below 4.5 to 1, or below 3 to 1 for large text and symbols beside
 * words. Includes values of fields, placeholders, generated content, disabled controls and content scrolled
 * out of view. Of an element that was removed there are none.
 */
export async function lowContrast(within: Locator): Promise<string[]> {
  return within.evaluateAll(measure);
}

/** Runs in the page. */
function measure([within]: Element[]): string[] {
  if (!within) return [];
  type Color = [red: number, green: number, blue: number, alpha: number];
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (!canvas) throw new Error("there is no canvas");
  const known = new Map<string, Color>();
  const parse = (text: string): Color => {
    let color = known.get(text);
    if (!color) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = "transparent";
      canvas.fillStyle = text;
      canvas.fillRect(0, 0, 1, 1);
      const [red = 0, green = 0, blue = 0, alpha = 0] = canvas.getImageData(0, 0, 1, 1).data;
      color = [red, green, blue, alpha / 255];
      known.set(text, color);
    }
    return color;
  };
  const over = (top: Color, below: Color): Color => {
    const alpha = top[3] + below[3] * (1 - top[3]);
    const mix = (at: 0 | 1 | 2): number =>
      alpha ? (top[at] * top[3] + below[at] * below[3] * (1 - top[3])) / alpha : 0;
    return [mix(0), mix(1), mix(2), alpha];
  };
  const fade = ([red, green, blue, alpha]: Color, by: number): Color => [red, green, blue, alpha * by];
  const grey = ([red, green, blue, alpha]: Color, by: number): Color => {
    const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    const mix = (part: number): number => part + (light - part) * by;
    return [mix(red), mix(green), mix(blue), alpha];
  };
  const luminance = (color: Color): number => {
    const part = (value: number): number =>
      value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(color[0]) + 0.7152 * part(color[1]) + 0.0722 * part(color[2]);
  };
  const problems = new Set<string>();

  const check = (element: Element, style: CSSStyleDeclaration, text: string, paint: string): void => {
    let front = parse(paint);
    let behind: Color = [0, 0, 0, 0];
    for (let at: Element | null = element; at; at = at.parentElement) {
      // The background of the element is behind that of its pseudo-element.
      const styles = at === element ? [style, getComputedStyle(at)] : [getComputedStyle(at)];
      for (const { backgroundColor, backgroundImage, opacity, filter } of new Set(styles)) {
        if (backgroundImage !== "none" && behind[3] < 1) problems.add(`over a picture: ${text}`);
        const background = parse(backgroundColor);
        front = fade(over(front, background), Number(opacity));
        behind = fade(over(behind, background), Number(opacity));
        const greyed = /grayscale\(([\d.]+)\)/.exec(filter);
        if (greyed) [front, behind] = [grey(front, Number(greyed[1])), grey(behind, Number(greyed[1]))];
        if (styles.length === 2 && styles[0] === styles[1]) break;
      }
    }
    const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
    const base: Color = isDark ? [18, 18, 18, 1] : [255, 255, 255, 1];
    const [light, dark] = [luminance(over(front, base)), luminance(over(behind, base))].sort((a, b) => b - a);
    const ratio = ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const isSign = Array.from(text).length === 1 && !!element.closest("[aria-hidden=true]");
    if (ratio < (isLarge || isSign ? 3 : 4.5)) {
      const name = `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`;
      problems.add(`${ratio.toFixed(2)}: ${JSON.stringify(text.slice(0, 40))} in ${name.slice(0, 80)}`);
    }
  };

  const isDrawn = (element: Element): boolean => {
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) return false;
    for (let at: Element | null = element; at; at = at.parentElement) {
      if (getComputedStyle(at).clipPath !== "none") return false;
    }
    return Number.parseFloat(getComputedStyle(element).fontSize) > 0;
  };

  for (const element of [within, ...within.querySelectorAll("*")]) {
    if (["SCRIPT", "STYLE", "NOSCRIPT", "TITLE", "OPTION"].includes(element.tagName)) continue;
    const isField = element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement;
    const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    const text =
      element instanceof HTMLSelectElement
        ? (element.selectedOptions[0]?.label ?? "")
        : isField
          ? element.value
          : own.map((node) => node.textContent).join("");
    const found: [text: string, pseudo?: CSSStyleDeclaration][] = [];
    if (text.trim() && !["checkbox", "radio"].includes(element.getAttribute("type") ?? "")) {
      found.push([text.trim()]);
    }
    for (const pseudo of isField && !element.value ? ["::placeholder"] : ["::before", "::after"]) {
      const made = getComputedStyle(element, pseudo);
      const said = isField ? element.placeholder : (/^"(.+?)"/.exec(made.content)?.[1] ?? "");
      if (said.trim()) found.push([said.trim(), made]);
    }
    // Last, since it takes longest and most elements have no text.
    if (found.length === 0 || !isDrawn(element)) continue;
    const style = getComputedStyle(element);
    for (const [text, made] of found) {
      const color = element instanceof SVGElement ? style.fill : style.color;
      check(element, made ?? style, text, made?.color ?? color);
    }
  }
  return [...problems].sort();
}
