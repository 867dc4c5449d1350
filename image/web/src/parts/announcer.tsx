import { signal } from "@preact/signals";

const LONGEST = 1500;

const announcement = signal("");
let turn = 0;

/** Has a screen reader say it when it has finished what it says now. */
export function announce(text: string): void {
  turn += 1;
  // The same words twice are said twice only if something changed.
  announcement.value = text.slice(0, LONGEST) + (turn % 2 ? "" : "\u00a0");
}

export function Announcer() {
  return (
    <div class="unseen" role="status" aria-live="polite">
      {announcement.value}
    </div>
  );
}
