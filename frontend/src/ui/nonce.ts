/** The CSP nonce of the document: style elements without it are not applied. */

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.nonce ?? "";

export const styleNonce = (): string => nonce;

/** Provides the nonce where packages of bundlers expect it. */
export function offerNonce(): void {
  Object.assign(globalThis, { __webpack_nonce__: nonce });
}
