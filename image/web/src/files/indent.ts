const USUAL = "    ";

/** What a file indents with, by its first line that is indented. */
export function indentOf(text: string): string {
  const [, found = USUAL] = /^(\t| {2,8})(?=\S)/m.exec(text) ?? [];
  return found;
}
