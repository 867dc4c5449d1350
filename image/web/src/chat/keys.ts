type Key = Pick<KeyboardEvent, "shiftKey" | "ctrlKey" | "metaKey" | "altKey">;

/** While an input method composes a word, Enter ends the word and not the message. */
export function isComposing(event: Pick<KeyboardEvent, "isComposing" | "keyCode">): boolean {
  return event.isComposing || event.keyCode === 229;
}

/** Whether Enter with these keys sends: alone or never, as she chose; with Ctrl or Command always. */
export function sends(event: Key, enterSends: boolean): boolean {
  if (event.ctrlKey || event.metaKey) return true;
  return enterSends && !event.shiftKey && !event.altKey;
}
