// A conversation as it is read: what is said stands alone, the steps between are gathered.

import type { AskItem, EndItem, Item, ThinkingItem, Todo, ToolItem } from "../protocol";

export interface Step {
  /** A permission that was answered is a step too: it is part of how a tool came to run. */
  item: ToolItem | ThinkingItem | AskItem;
  /** What a helper did on its behalf. */
  inner: Step[];
}

export type Passage =
  | { kind: "item"; id: string; item: Exclude<Item, ToolItem | ThinkingItem> }
  | { kind: "steps"; id: string; steps: Step[] };

export function passages(items: readonly Item[]): Passage[] {
  const result: Passage[] = [];
  const tools = new Map<string, Step>();
  for (const item of items) {
    if (isStep(item)) placeStep({ item, inner: [] }, result, tools);
    else if (!isMute(item, result)) result.push({ kind: "item", id: item.id, item });
  }
  return result;
}

function isStep(item: Item): item is Step["item"] {
  if (item.kind === "ask") return item.ask === "permission" && item.state !== "open";
  return item.kind === "thinking" || item.kind === "tool";
}

/**
 * What a reader in a hurry is spared: that she allowed what then happened, that Claude looked up how a tool is used,
 * and its plan as it was in between.
 */
export function brief(steps: Step[]): Step[] {
  const plan = steps.findLast(({ item }) => todosOf(item));
  const short = steps.filter((step) => !isAside(step.item) && (step === plan || !todosOf(step.item)));
  return short.length ? short : steps;
}

const isAside = (item: Step["item"]) =>
  item.kind === "ask" || (item.kind === "tool" && item.name === "ToolSearch" && item.status === "done");

const todosOf = (item: Item) => (item.kind === "tool" && !item.parent && item.todos) || null;

/** Claude's own plan as it is now, and the step that made it so; a helper's are the helper's. */
export function newestPlan(items: readonly Item[]): { step: string; todos: readonly Todo[] } | null {
  const item = items.findLast(todosOf);
  const todos = item ? todosOf(item) : null;
  return item && todos?.length ? { step: item.id, todos } : null;
}

function placeStep(step: Step, result: Passage[], tools: Map<string, Step>): void {
  const { item } = step;
  if (item.kind === "thinking" && item.done && !item.text.trim()) return;
  const helper = item.kind === "tool" && item.parent ? tools.get(item.parent) : undefined;
  if (item.kind === "tool") tools.set(item.id, step);
  const last = result.at(-1);
  if (helper) helper.inner.push(step);
  else if (last?.kind === "steps") last.steps.push(step);
  else result.push({ kind: "steps", id: item.id, steps: [step] });
}

/** An end says nothing where a notice has just told what went wrong. */
function isMute(item: Item, before: Passage[]): boolean {
  if (item.kind === "notice" && item.resolved) return true;
  if (item.kind !== "end" || (item.outcome !== "failed" && item.outcome !== "lost")) return false;
  const last = before.at(-1);
  return last?.kind === "item" && last.item.kind === "notice";
}

// --- one line for many steps ---

const DEEDS: Readonly<Record<string, [one: string, many: string]>> = {
  Bash: ["ran a command", "ran % commands"],
  Read: ["read a file", "read % files"],
  Edit: ["edited a file", "made % edits"],
  Write: ["wrote a file", "wrote % files"],
  Search: ["searched the files", "searched the files % times"],
  Web: ["looked on the web", "looked on the web % times"],
  Agent: ["asked a helper", "asked % helpers"],
  Todo: ["planned the steps", "planned the steps"],
  Other: ["used a tool", "used % tools"],
};
const SAME_AS: ReadonlyMap<string, string> = new Map([
  ["MultiEdit", "Edit"],
  ["NotebookEdit", "Edit"],
  ["Grep", "Search"],
  ["Glob", "Search"],
  ["LS", "Search"],
  ["WebFetch", "Web"],
  ["WebSearch", "Web"],
  ["Task", "Agent"],
  ["TodoWrite", "Todo"],
  ["TaskCreate", "Todo"],
  ["TaskUpdate", "Todo"],
  ["TaskList", "Todo"],
  ["TaskGet", "Todo"],
]);

/** "Ran 2 commands, read a file". */
export function gist(steps: readonly Step[]): string {
  const counts = new Map<string, number>();
  for (const { item } of steps) {
    if (item.kind !== "tool") continue;
    const name = SAME_AS.get(item.name) ?? item.name;
    const deed = Object.hasOwn(DEEDS, name) ? name : "Other";
    counts.set(deed, (counts.get(deed) ?? 0) + 1);
  }
  const said = [...counts].map(([deed, count]) => (DEEDS[deed]?.[count > 1 ? 1 : 0] ?? "").replace("%", `${count}`));
  const text = said.join(", ") || "thought about it";
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What goes on in these steps now; "" where all is done. */
export function now(steps: readonly Step[]): string {
  const { item } = steps.findLast((step) => isGoingOn(step.item)) ?? {};
  if (!item) return "";
  return item.kind === "tool" ? item.title || item.name : "Thinking …";
}

function isGoingOn(item: Step["item"]): boolean {
  if (item.kind === "ask") return false;
  return item.kind === "tool" ? item.status === "running" : !item.done;
}

// --- how long a turn takes, what it cost ---

/** When the turn that runs began: with the message that Claude has in hand, or when the one before it was done. */
export function beganAt(items: readonly Item[]): number | null {
  const message = items.findLast((item) => item.kind === "user" && !item.queued);
  const end = items.findLast((item) => item.kind === "end");
  const times = [message, end].flatMap((item) => (item && Date.parse(item.at) > 0 ? [Date.parse(item.at)] : []));
  return message && times.length ? Math.max(...times) : null;
}

/** "12 s", "3 min 20 s", "1 h 5 min". */
export function lasting(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** What is less would be shown as nothing. */
const LEAST_USD = 0.0005;

/** "12 s · 1,234 tokens · $0.02". */
export function figures({ duration_ms, tokens, cost_usd }: EndItem): string {
  return [
    duration_ms === null ? "" : lasting(Math.max(1000, Math.round(duration_ms / 1000) * 1000)),
    tokens === null ? "" : `${tokens.toLocaleString()} tokens`,
    cost_usd === null || cost_usd < LEAST_USD ? "" : `$${cost_usd.toFixed(cost_usd < 0.1 ? 3 : 2)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}
