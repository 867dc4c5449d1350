// How long to wait before the next attempt: longer each time, never all pages at once.

const FIRST_MS = 250;
const LONGEST_MS = 8000;

/** `attempt` counts from 0; `random` gives 0 up to 1. */
export function delayMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
  return full * (0.5 + random() / 2);
}
