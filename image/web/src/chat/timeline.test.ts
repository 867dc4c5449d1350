import { expect, test } from "vitest";
import type { Numbered, Op } from "../protocol";
import { after, fromSnapshot, nothing, shortened, type Timeline, withOlder } from "./timeline";

const said = { kind: "assistant", id: "a", at: "", text: "Hel", done: false } as const;
const start = fromSnapshot({
  type: "snapshot",
  conversation: "c",
  epoch: "e",
  seq: 4,
  items: [said],
  more: false,
  turn: "running",
  queued: 0,
});
const event = (seq: number, op: Op): Numbered => ({ type: "event", conversation: "c", seq, ...op });

function take(timeline: Timeline, ...events: Numbered[]): Timeline {
  return events.reduce((now, one) => {
    const next = after(now, one);
    if (!next) throw new Error(`gap before ${one.seq}`);
    return next;
  }, timeline);
}

test("words are appended to their message", () => {
  const now = take(
    start,
    event(5, { op: "append", id: "a", field: "text", text: "lo" }),
    event(6, { op: "set", id: "a", patch: { done: true } }),
  );
  expect(now.items).toEqual([{ ...said, text: "Hello", done: true }]);
  expect(now.seq).toBe(6);
});

test("an event that was seen already changes nothing", () => {
  expect(after(start, event(4, { op: "append", id: "a", field: "text", text: "again" }))).toBe(start);
});

test("a gap asks for a snapshot", () => {
  expect(after(start, event(6, { op: "turn", turn: "idle", queued: 0 }))).toBeNull();
});

test("events before any snapshot ask for one", () => {
  expect(after(nothing, event(1, { op: "turn", turn: "idle", queued: 0 }))).toBeNull();
});

test("an item is never there twice", () => {
  expect(take(start, event(5, { op: "add", item: { ...said, text: "new" } })).items).toEqual([
    { ...said, text: "new" },
  ]);
});

test("a queued message that was dropped is gone", () => {
  expect(take(start, event(5, { op: "set", id: "a", patch: { dropped: true } })).items).toEqual([]);
});

test("an item that is added again moves to the end", () => {
  const now = take(start, event(5, { op: "add", item: { ...said, id: "b" } }), event(6, { op: "add", item: said }));
  expect(now.items.map((item) => item.id)).toEqual(["b", "a"]);
});

test("older messages come before, and none is there twice", () => {
  const older = { ...said, id: "o" };
  const now = withOlder(start, [older, said], false);
  expect([now.items.map((item) => item.id), now.more]).toEqual([["o", "a"], false]);
});

const many = (count: number, kindOf: (index: number) => string = () => "tool"): Timeline => ({
  ...start,
  items: Array.from({ length: count }, (_, index) => ({ ...said, kind: kindOf(index), id: `${index}` }) as never),
});
const ids = ({ items }: Timeline) => [items[0]?.id, items.length];

test("a long conversation is cut to its end, and what is left out is there to be asked for", () => {
  const now = shortened(many(1000), 400);
  expect([...ids(now), now.more]).toEqual(["600", 400, true]);
  expect(shortened(now, 400)).toBe(now);
});

test("it is cut where a turn begins, if one is near", () => {
  expect(
    ids(
      shortened(
        many(1000, (index) => (index === 650 ? "user" : "tool")),
        400,
      ),
    ),
  ).toEqual(["650", 350]);
  expect(
    ids(
      shortened(
        many(1000, (index) => (index === 990 ? "user" : "tool")),
        400,
      ),
    ),
  ).toEqual(["600", 400]);
});
