import { expect, test } from "vitest";
import type { Item, ToolItem } from "../protocol";
import { beganAt, brief, figures, gist, lasting, newestPlan, now, type Passage, passages } from "./passages";

const at = "";
const tool = (id: string, more: Partial<ToolItem> = {}): ToolItem => ({
  ...{
    kind: "tool",
    id,
    at,
    name: "Bash",
    input: {},
    title: id,
    status: "done",
    output: "",
    parent: null,
    patch: null,
  },
  ...more,
});
const says = (id: string): Item => ({ kind: "assistant", id, at, text: id, done: true });
const thinks = (id: string, text = id): Item => ({ kind: "thinking", id, at, text, done: true });
const permission = (id: string, state: "open" | "allowed"): Item => ({
  ...{ kind: "ask", id, at, ask: "permission", tool: "Bash", input: {}, title: id, reason: "", can_always: true },
  ...{ state, answer: null },
});
const end = (outcome: "lost" | "failed"): Item => ({
  ...{ kind: "end", id: "end", at, outcome, duration_ms: null, cost_usd: null, tokens: null },
});
const shape = (all: Passage[]) =>
  all.map((one) => (one.kind === "steps" ? one.steps.map(({ item }) => item.id) : one.id));

test("steps between two sentences are gathered", () => {
  expect(shape(passages([says("a"), thinks("t"), tool("x"), tool("y"), says("b"), tool("z")]))).toEqual([
    ...["a", ["t", "x", "y"], "b", ["z"]],
  ]);
});

test("what a helper does stands inside its step, also when it comes late", () => {
  const [first] = passages([tool("helper", { name: "Agent" }), says("a"), tool("x", { parent: "helper" })]);
  expect(first?.kind === "steps" && first.steps[0]?.inner.map(({ item }) => item.id)).toEqual(["x"]);
});

test("an open permission is a card, an answered one a step, and a reader in a hurry is spared it", () => {
  expect(shape(passages([tool("x"), permission("p", "open")]))).toEqual([["x"], "p"]);
  const [steps] = passages([tool("x"), permission("p", "allowed"), tool("y")]);
  expect(shape(steps ? [steps] : [])).toEqual([["x", "p", "y"]]);
  expect(steps?.kind === "steps" && brief(steps.steps).map(({ item }) => item.id)).toEqual(["x", "y"]);
});

const planned = (id: string, ...texts: string[]) =>
  tool(id, { name: "TaskCreate", todos: texts.map((text) => ({ text, status: "pending" as const })) });

test("a reader in a hurry sees a plan once, as it is after the steps, and not how its tools were found", () => {
  const sought = tool("s", { name: "ToolSearch" });
  const [steps] = passages([sought, planned("a", "Buy"), planned("b", "Buy", "Paint"), tool("x")]);
  expect(steps?.kind === "steps" && brief(steps.steps).map(({ item }) => item.id)).toEqual(["b", "x"]);
});

test("the plan in sight is Claude's own newest one, and none where all its steps are dropped", () => {
  expect(newestPlan([says("a"), tool("x")])).toBeNull();
  const items = [planned("a", "Buy"), planned("b", "Buy", "Paint"), says("s"), tool("x")];
  expect(newestPlan(items)?.step).toBe("b");
  expect(newestPlan([...items, { ...planned("c", "Look"), parent: "helper" }])?.step).toBe("b");
  expect(newestPlan([...items, planned("d")])).toBeNull();
});

test("empty thoughts and trouble that is over are not shown", () => {
  const over: Item = {
    kind: "notice",
    id: "n",
    at,
    code: "overloaded",
    text: "",
    until: null,
    action: null,
    resolved: true,
  };
  expect(shape(passages([thinks("t", " "), over]))).toEqual([]);
});

test("a failed end is silent after the notice that told why", () => {
  const notice: Item = { kind: "notice", id: "n", at, code: "failed", text: "", until: null, action: null };
  expect(shape(passages([notice, end("failed")]))).toEqual(["n"]);
  expect(shape(passages([notice, end("lost")]))).toEqual(["n"]);
  expect(shape(passages([says("a"), end("failed")]))).toEqual(["a", "end"]);
});

test("many steps are told in one line", () => {
  const steps = [tool("a"), tool("b"), tool("c", { name: "Read" }), tool("d", { name: "mcp__x__y" })];
  expect(gist(steps.map((item) => ({ item, inner: [] })))).toBe("Ran 2 commands, read a file, used a tool");
});

test("while one runs, the line tells which", () => {
  const steps = [tool("a"), tool("b", { status: "running", title: "Running b" })];
  expect(now(steps.map((item) => ({ item, inner: [] })))).toBe("Running b");
  expect(now([{ item: tool("a"), inner: [] }])).toBe("");
});

test("figures that are not known are left out", () => {
  const known = {
    kind: "end",
    id: "",
    at,
    outcome: "completed",
    duration_ms: 1234,
    cost_usd: null,
    tokens: 5,
  } as const;
  expect(figures(known)).toBe("1 s · 5 tokens");
  expect(figures({ ...known, cost_usd: 0.0004 })).toBe("1 s · 5 tokens");
  expect(figures({ ...known, cost_usd: 0.0006 })).toBe("1 s · 5 tokens · $0.001");
});

test("a turn lasts from its message on, or from the end of the one before it", () => {
  const said = (id: string, minute: number, queued = false): Item => ({
    ...{ kind: "user", id, at: `2026-11-20T10:0${minute}:00Z`, text: "", queued, attachments: [] },
  });
  const over: Item = { ...end("lost"), at: "2026-11-20T10:05:00Z" };
  const minutes = (...items: Item[]) => new Date(beganAt(items) ?? 0).getMinutes();
  expect(minutes(said("a", 1), tool("t"), said("b", 4, true))).toBe(1);
  expect(minutes(said("a", 1), over, said("b", 4))).toBe(5);
  expect(beganAt([tool("t")])).toBeNull();
});

test.each([
  [-2000, "0 s"],
  [12_900, "12 s"],
  [200_000, "3 min 20 s"],
  [3_900_000, "1 h 5 min"],
])("%d ms are %s", (ms, words) => expect(lasting(ms)).toBe(words));
