// The address that Claude prints for logging in, found on the screen: a wrapped line is hard to hit on a phone.

const ADDRESS =
  /https:\/\/(?:claude\.ai|claude\.com|platform\.claude\.com|console\.anthropic\.com)\/(?:cai\/)?oauth\/authorize\?\S+/g;
/** Once it has given up, the shell's prompt follows on the same line. */
const WAITS = /Paste code[^>]*>\s*\S*\s*$/;

/** The last one, while Claude waits for its code; `lines` are whole lines, not rows. */
export function loginLink(lines: readonly string[]): string | null {
  const text = lines.join("\n").trimEnd();
  if (!WAITS.test(text.slice(text.lastIndexOf("\n") + 1))) return null;
  return text.match(ADDRESS)?.at(-1) ?? null;
}
