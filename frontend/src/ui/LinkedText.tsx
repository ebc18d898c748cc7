import { isSafeLink } from "./links";

/** Plain text whose URLs are links, in a new tab. */
export function LinkedText({ text }: { text: string }) {
  return (
    <>
      {partsOf(text).map((part, index) =>
        index % 2 && isSafeLink(part) ? (
          <a key={index} href={part} target="_blank" rel="noopener noreferrer" className="link">
            {part}
          </a>
        ) : (
          part
        ),
      )}
    </>
  );
}

/** Texts and URLs in turn, beginning with a text. */
export function partsOf(text: string): string[] {
  return text.split(/(https?:\/\/[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}])/);
}
