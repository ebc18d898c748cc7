/** Whether a URL from the record may become a link: executors write them, and `javascript:` would run. */
export function isSafeLink(uri: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(uri).protocol);
  } catch {
    return false;
  }
}
