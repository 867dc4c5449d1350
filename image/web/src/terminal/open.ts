// Whether a terminal is on the screen: over the whole page, where the browser's way back closes it, or in a pane.

import { computed, signal } from "@preact/signals";

export const terminalOpen = signal(false);
/** The pane beside the words about the login. */
export const paneOpen = signal(false);
export const isTerminalShown = computed(() => terminalOpen.value || paneOpen.value);
/** The address that Claude has printed for logging in, while it waits for the code. */
export const loginLink = signal<string | null>(null);
/** Types into the shell on the screen. */
export const typist = signal<((keys: string) => void) | null>(null);

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
