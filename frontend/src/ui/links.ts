/** Whether an address from the record may become a link: executors write them, and `javascript:` runs. */
export function isSafeLink(uri: string): boolean {
  try {
    return ["http:", "https:"].includes(new URL(uri).protocol);
  } catch {
    return false;
  }
}
