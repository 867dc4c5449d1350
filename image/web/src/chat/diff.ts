// What an edit changed, line by line.

import type { Hunk } from "../protocol";

export interface Line {
  kind: "same" | "added" | "removed" | "gap";
  text: string;
  /** In the file as it is now, or for what was removed as it was. */
  number?: number;
}

const KINDS: Readonly<Record<string, Line["kind"]>> = { "+": "added", "-": "removed", " ": "same" };

/** The lines of a patch, with their numbers in the file; between its parts there is a gap. */
export function fromPatch(hunks: readonly Hunk[]): Line[] {
  return hunks.flatMap((hunk, index) => [...(index ? [{ kind: "gap", text: "" } as const] : []), ...numbered(hunk)]);
}

function numbered({ oldStart, newStart, lines }: Hunk): Line[] {
  let before = oldStart;
  let now = newStart;
  const result: Line[] = [];
  for (const line of lines) {
    const kind = KINDS[line.charAt(0)];
    if (!kind) continue; // "\\ No newline at end of file"
    result.push({ kind, text: line.slice(1), number: kind === "removed" ? before : now });
    if (kind !== "added") before++;
    if (kind !== "removed") now++;
  }
  return result;
}

const LARGEST_TABLE = 400_000;
const CONTEXT = 3;

export function diff(before: string, after: string): Line[] {
  const a = lines(before);
  const b = lines(after);
  const head = common(a, b, (list, index) => list[index]);
  const tail = common(a.slice(head), b.slice(head), (list, index) => list[list.length - 1 - index]);
  const changed = middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  return shortened([...same(a.slice(0, head)), ...changed, ...same(a.slice(a.length - tail))]);
}

const lines = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
const same = (texts: string[]) => texts.map((text): Line => ({ kind: "same", text }));
const added = (texts: string[]) => texts.map((text): Line => ({ kind: "added", text }));
const removed = (texts: string[]) => texts.map((text): Line => ({ kind: "removed", text }));

function common(a: string[], b: string[], at: (list: string[], index: number) => string | undefined): number {
  const most = Math.min(a.length, b.length);
  let count = 0;
  while (count < most && at(a, count) === at(b, count)) count++;
  return count;
}

/** By the longest common subsequence; what is too long for it is shown as replaced. */
function middle(a: string[], b: string[]): Line[] {
  if (a.length * b.length > LARGEST_TABLE) return [...removed(a), ...added(b)];
  const table = lengths(a, b);
  const result: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      result.push({ kind: "same", text: a[i] ?? "" });
      i++;
      j++;
    } else if ((table[i + 1]?.[j] ?? 0) >= (table[i]?.[j + 1] ?? 0))
      result.push({ kind: "removed", text: a[i++] ?? "" });
    else result.push({ kind: "added", text: b[j++] ?? "" });
  }
  return [...result, ...removed(a.slice(i)), ...added(b.slice(j))];
}

/** `table[i][j]`: how much a from i and b from j have in common. */
function lengths(a: string[], b: string[]): Uint32Array[] {
  const table = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      (table[i] as Uint32Array)[j] =
        a[i] === b[j] ? (table[i + 1]?.[j + 1] ?? 0) + 1 : Math.max(table[i + 1]?.[j] ?? 0, table[i]?.[j + 1] ?? 0);
  return table;
}

/** Without the lines that are far from any change. */
function shortened(all: Line[]): Line[] {
  const isNear = (index: number) =>
    all.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some((line) => line.kind !== "same");
  const result: Line[] = [];
  all.forEach((line, index) => {
    if (line.kind !== "same" || isNear(index)) result.push(line);
    else if (result.at(-1)?.kind !== "gap") result.push({ kind: "gap", text: "" });
  });
  return result;
}
