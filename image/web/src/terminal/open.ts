// Whether the terminal is open; the browser's way back closes it.

import { signal } from "@preact/signals";

export const terminalOpen = signal(false);

let opener: Element | null = null;

export function openTerminal(): void {
  if (terminalOpen.value) return;
  opener = document.activeElement;
  history.pushState({ terminal: true }, "");
  terminalOpen.value = true;
}

export function closeTerminal(): void {
  if (!terminalOpen.value) return;
  if ((history.state as { terminal?: boolean } | null)?.terminal) history.back();
  else terminalOpen.value = false;
}

/** Puts the focus back to where it was when the terminal opened. */
export function focusOpener(): void {
  if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  opener = null;
}

addEventListener("popstate", () => {
  terminalOpen.value = false;
});

/** Fetches the terminal's code, so that it opens at once. */
export const loadTerminal = () => import("./terminal");
