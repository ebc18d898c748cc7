/** The longest slice in milliseconds: a frame has 16. */
const SLICE_MS = 8;

/** Runs a generator to its end, giving the page time for input and frames; null once `signal` is aborted. */
export async function inSlices<Result>(
  steps: Iterator<void, Result>,
  signal: AbortSignal,
): Promise<Result | null> {
  for (let began = performance.now(); !signal.aborted;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - began < SLICE_MS) continue;
    await new Promise((resolve) => setTimeout(resolve));
    began = performance.now();
  }
  return null;
}
