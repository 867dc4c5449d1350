// Trying again: later each time, never all pages at once.

const FIRST_MS = 250;
const LONGEST_MS = 8000;

const MOST_TRIES = 4;

/** How long to wait before the next attempt; `attempt` counts from 0; `random` gives 0 up to 1. */
export function delayMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return full * (0.5 + random() / 2);
}

/** Does it, and again where a network that changes has swallowed it; what it fails with in the end. */
export async function persistently<T>(work: () => Promise<T>, isLost: (error: unknown) => boolean = () => true) {
  for (let failed = 0; ; failed++) {
    try {
      return await work();
    } catch (error) {
      if (!isLost(error) || failed + 1 === MOST_TRIES) throw error;
    }
    await new Promise((go) => setTimeout(go, delayMs(failed)));
  }
}
