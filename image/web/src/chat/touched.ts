// The files that Claude has had in hand in the conversation on the screen.

import { computed } from "@preact/signals";
import { workspacePath } from "../link";
import type { Item } from "../protocol";
import { boot } from "../workspace";
import { timeline } from "./chat";

/** Their paths, by the path and, where only one is called so, by the name. */
export function named(items: readonly Item[], root: string): ReadonlyMap<string, string> {
  const paths = new Set(items.flatMap((item) => pathsOf(item, root)));
  const byName = new Map<string, string | null>();
  for (const path of paths) {
    const name = path.split("/").at(-1) ?? "";
    byName.set(name, byName.has(name) ? null : path);
  }
  const unique = [...byName].flatMap(([name, path]) => (path === null ? [] : [[name, path] as const]));
  return new Map([...unique, ...[...paths].map((path) => [path, path] as const)]);
}

function pathsOf(item: Item, root: string): string[] {
  if (item.kind !== "tool" || item.status === "failed" || item.status === "denied") return [];
  const told = [item.input.file_path, item.input.notebook_path];
  return told.flatMap((one) => (typeof one === "string" ? (workspacePath(one, root) ?? []) : []));
}

/** Kept as it is while nothing has changed in it: each of Claude's letters changes the timeline. */
let last: ReadonlyMap<string, string> = new Map();
export const touched = computed(() => {
  const now = named(timeline.value.items, boot.value?.workspace ?? "");
  const isSame = now.size === last.size && [...now].every(([name, path]) => last.get(name) === path);
  if (!isSame) last = now;
  return last;
});
