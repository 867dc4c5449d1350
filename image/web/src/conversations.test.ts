// @vitest-environment jsdom
import { afterEach, expect, test, vi } from "vitest";
import { found, hasMore, loadMore, search, withConversation } from "./conversations";
import { byAge } from "./list/ages";
import type { Conversation } from "./protocol";

const one = (id: string, updated_at: string): Conversation => ({
  ...{ id, updated_at, title: id },
  ...{
    turn: "idle",
    archived: false,
    ...{ model: null, effort: null, permission_mode: null, forked_from: null },
    usage: { cost_usd: null, input_tokens: 0, output_tokens: 0, turns: 0 },
  },
});
afterEach(() => vi.unstubAllGlobals());
const older = one("older", "2026-11-20T10:00:00Z");
const newer = one("newer", "2026-11-21T10:00:00Z");

test("a conversation that goes on moves to the top, and is there once", () => {
  const moved = { ...older, updated_at: "2026-11-22T10:00:00Z" };
  expect(withConversation([newer, older], moved)).toEqual([moved, newer]);
});

test("a restored conversation returns to its place", () => {
  expect(withConversation([newer], older)).toEqual([newer, older]);
});

test("the list is cut by age", () => {
  const now = new Date(2026, 10, 23, 12);
  const ago = (days: number) => one(`${days}`, new Date(2026, 10, 23 - days, 11).toISOString());
  expect(byAge([ago(0), ago(1), ago(3), ago(6), ago(20), ago(70)], now).map(({ age }) => age)).toEqual([
    ...["Today", "Yesterday", "Last 7 days", "Last 30 days", "September 2026"],
  ]);
});

test("of what a search finds the rest can be asked for, page by page", async () => {
  const all = Array.from({ length: 120 }, (_, index) => one(`${index}`, `2026-11-20T10:00:${index}Z`));
  const asked: string[] = [];
  vi.stubGlobal("fetch", (path: string) => {
    const { searchParams } = new URL(path, "http://x");
    const from = Number(searchParams.get("offset"));
    asked.push(`${searchParams.get("q")} ${from}`);
    return Promise.resolve(Response.json({ conversations: all.slice(from, from + 50), total: all.length }));
  });
  await search("red house");
  expect([found.value?.length, hasMore.value]).toEqual([50, true]);
  await loadMore();
  await loadMore();
  expect([found.value?.length, hasMore.value]).toEqual([120, false]);
  expect(asked).toEqual(["red house 0", "red house 50", "red house 100"]);
  await search("");
  expect([found.value, hasMore.value]).toEqual([null, false]);
});
