// Keys that mean something else in a browser's terminal than what the shell would get.

type Key = Pick<KeyboardEvent, "code" | "ctrlKey" | "shiftKey" | "altKey" | "metaKey">;

/**
 * Copying and pasting as everywhere else: Ctrl + C copies where something is selected and interrupts where nothing is,
 * Ctrl + V pastes. Ctrl + Shift + F searches, since Ctrl + F is the shell's (⌘ + F is nobody's). Ctrl + Shift + . leaves
 * the terminal, since Tab and Esc go to the shell.
 */
export function deed(key: Key, hasSelection: boolean): "copy" | "paste" | "search" | "leave" | null {
  const { ctrlKey, metaKey, altKey, shiftKey, code } = key;
  if (altKey || ctrlKey === metaKey) return null;
  if (code === "KeyC" && hasSelection) return "copy";
  if (code === "KeyC" && ctrlKey && shiftKey) return "copy";
  if (code === "KeyV") return "paste";
  if (code === "KeyF" && (metaKey || shiftKey)) return "search";
  if (code === "Period" && ctrlKey && shiftKey) return "leave";
  return null;
}

const ARROW = /^\x1b\[[A-D]$/;

/** A letter or an arrow as it is with Ctrl held; anything else as it is. */
export function controlled(text: string): string {
  if (ARROW.test(text)) return text.replace("[", "[1;5");
  const code = text.toUpperCase().charCodeAt(0);
  if (text.length !== 1 || !(code >= 0x40 && code <= 0x5f)) return text === " " ? "\0" : text;
  return String.fromCharCode(code & 0x1f);
}

/** An arrow as a program wants it that has the whole screen; anything else as it is. */
export const inApplication = (keys: string) => (ARROW.test(keys) ? keys.replace("[", "O") : keys);

export const BAR: readonly [label: string, name: string, keys: string][] = [
  ["Esc", "Esc", "\x1b"],
  ["^C", "Ctrl C, interrupt", "\x03"],
  ["Tab", "Tab", "\t"],
  ["⇧Tab", "Shift Tab, Claude’s next mode", "\x1b[Z"],
  ["↑", "Up", "\x1b[A"],
  ["↓", "Down", "\x1b[B"],
  ["←", "Left", "\x1b[D"],
  ["→", "Right", "\x1b[C"],
  ["/", "Slash", "/"],
  ["|", "Bar", "|"],
  ["PgUp", "Page up", "\x1b[5~"],
  ["PgDn", "Page down", "\x1b[6~"],
];
