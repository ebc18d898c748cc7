import { useEffect } from "react";
import { phaseStyle } from "./phases";
import { useTitle } from "./title";

/** The title and the icon of the browser tab of something with a phase: its sign, and a dot in its colour. */
export function useTabOf(name: string, phase: string | undefined): void {
  useTitle(phase ? `${phaseStyle(phase).sign} ${name} · ${phaseStyle(phase).label}` : name);
  useEffect(() => {
    const link = document.querySelector<HTMLLinkElement>("link[rel=icon]");
    if (!link || !phase) return;
    const usual = link.href;
    link.href = `data:image/svg+xml,${encodeURIComponent(iconOf(phase))}`;
    return () => {
      link.href = usual;
    };
  }, [phase]);
}

function iconOf(phase: string): string {
  const { color, sign } = phaseStyle(phase);
  const variable = /--[\w-]+/.exec(color)?.[0] ?? "";
  const fill = getComputedStyle(document.documentElement).getPropertyValue(variable);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#2f3a8f"/>
<path d="M8 7v8a5 5 0 0 0 5 5M8 11h13" fill="none" stroke="#aab4ff" stroke-width="2.5"/>
<circle cx="8" cy="7" r="3" fill="#fff"/><circle cx="22" cy="11" r="3" fill="#fff"/>
<circle cx="21" cy="21" r="11" fill="${fill}" stroke="#fff" stroke-width="1.5"/>
<text x="21" y="26.5" font-family="sans-serif" font-size="16" font-weight="bold" text-anchor="middle" fill="#fff">${sign}</text>
</svg>`;
}
