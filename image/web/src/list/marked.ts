/** A text cut where it holds these words, in any case: every second part is one of them. */
export function marked(text: string, words: string): string[] {
  const wanted = words
    .split(/\s+/)
    .filter(Boolean)
    .sort((a, b) => b.length - a.length);
  if (!wanted.length) return [text];
  return text.split(new RegExp(`(${wanted.map(literally).join("|")})`, "giu"));
}

const literally = (word: string) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
