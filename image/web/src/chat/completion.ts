// What may be completed where she writes: a command that begins the message, or a file after an @.

export interface Mention {
  kind: "command" | "file";
  /** Where it begins, with its sign. */
  from: number;
  to: number;
  query: string;
}

const COMMAND = /^\/([\w:.-]*)$/;
const FILE = /(?:^|[\s([{])@(?:"([^"\n]*)|([^\s"@]*))$/;

/** What stands right before the cursor, if it is something to complete. */
export function mentionAt(text: string, caret: number): Mention | null {
  const before = text.slice(0, caret);
  const command = COMMAND.exec(before);
  if (command) return { kind: "command", from: 0, to: caret, query: command[1] ?? "" };
  const file = FILE.exec(before);
  if (!file) return null;
  return { kind: "file", from: before.lastIndexOf("@"), to: caret, query: file[1] ?? file[2] ?? "" };
}

/** The text with the choice in the mention's place, and where the cursor is then. A folder stays open for what is in it. */
export function completed(
  text: string,
  mention: Mention,
  choice: string,
  isOpen = false,
): [text: string, caret: number] {
  const isQuoted = /\s/.test(choice);
  const word = mention.kind === "command" ? `/${choice}` : isQuoted ? `@"${choice}${isOpen ? "" : '"'}` : `@${choice}`;
  const rest = text.slice(mention.to).replace(mention.kind === "file" ? /^[^\s"]*"?/ : /^\S*/, "");
  const space = isOpen || rest.startsWith(" ") ? "" : " ";
  const before = text.slice(0, mention.from) + word + space;
  return [before + rest, before.length + (space || isOpen ? 0 : 1)];
}

/** Those of these names that fit what was typed: best those that begin with it. */
export function fitting<T extends { name: string; description: string }>(all: readonly T[], query: string): T[] {
  const wanted = query.toLowerCase();
  const rank = ({ name, description }: T) => {
    const at = name.toLowerCase().indexOf(wanted);
    if (at === 0) return 0;
    if (at > 0) return /[:_.-]/.test(name[at - 1] ?? "") ? 1 : 2;
    return wanted.length > 2 && description.toLowerCase().includes(wanted) ? 3 : -1;
  };
  const ranked = all.map((one) => ({ one, at: rank(one) })).filter(({ at }) => at >= 0);
  return ranked.sort((a, b) => a.at - b.at).map(({ one }) => one);
}
