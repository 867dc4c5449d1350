// While she is away and nothing runs, the page lets go of the workspace, so that its machine may sleep.

import { signal } from "@preact/signals";
import { isBusy } from "./conversations";
import { live } from "./live";
import { isAllSent } from "./outbox";
import { isTerminalShown } from "./terminal/open";

const AWAY_MS = 10 * 60_000;
const LOOK_EVERY_MS = 20_000;
const SIGNS = ["pointerdown", "pointermove", "keydown", "focus", "wheel", "touchstart"];

export const online = signal(navigator.onLine);

let touchedAt = Date.now();

function touched(): void {
  touchedAt = Date.now();
  if (document.visibilityState === "visible") live.wake();
}

export function mayRest(now: number): boolean {
  return now - touchedAt > AWAY_MS && !isBusy.value && !isTerminalShown.value && isAllSent.value;
}

export function watchPresence(): void {
  for (const sign of SIGNS) addEventListener(sign, touched, { capture: true, passive: true });
  document.addEventListener("visibilitychange", touched);
  addEventListener("pageshow", touched);
  addEventListener("online", () => {
    online.value = true;
    live.renew();
  });
  addEventListener("offline", () => {
    online.value = false;
  });
  setInterval(() => mayRest(Date.now()) && live.state.value === "open" && live.rest(), LOOK_EVERY_MS);
}
