/** Owns the nonce that the server put into the document: style elements without it are not applied. */

const shown = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.nonce ?? "";

export const styleNonce = (): string => shown;

/** Lets the packages have it that look for it where bundlers put it. */
export function offerNonce(): void {
  Object.assign(globalThis, { __webpack_nonce__: shown });
}
