import { expect, test } from "vitest";
import type { Kept } from "../outbox";
import type { AskItem, EndItem, Item, TurnState, UserItem } from "../protocol";
import { isSettled, ruleOf } from "./settling";
import { nothing, type Timeline } from "./timeline";

const user = (id: string, queued = false) =>
  ({ kind: "user", id, at: "", text: id, queued, attachments: [] }) as UserItem;
const end = (id: string) => ({ kind: "end", id, at: "" }) as EndItem;
const card = (id: string, state: AskItem["state"]) => ({ kind: "ask", id, at: "", state }) as AskItem;
const shows = (turn: TurnState, ...items: Item[]): Timeline => ({ ...nothing, seq: 1, turn, items });

const about = { conversation: "c", message_id: "m" };
const STOP: Kept = { type: "deed", deed: { type: "stop", conversation: "c" }, lastEnd: "e1" };
const ALLOW: Kept = { type: "deed", deed: { type: "answer", conversation: "c", ask: "a", decision: "allow" } };
const BACK: Kept = { type: "deed", deed: { type: "take_back", ...about }, item: user("m", true) };
const RETRY: Kept = { type: "deed", deed: { type: "retry", ...about, of: "u" } };
const SAY: Kept = { type: "send", message: { ...about, text: "x" } };

test.each([
  ["a message that is there", SAY, shows("running", user("m")), true],
  ["a message that is not", SAY, shows("idle"), false],
  ["a retry that is there", RETRY, shows("running", user("m")), true],
  ["an open card", ALLOW, shows("waiting", card("a", "open")), false],
  ["an answered card", ALLOW, shows("running", card("a", "allowed")), true],
  ["a card that is out of sight, while something waits", ALLOW, shows("waiting"), false],
  ["a card of a turn that is over", ALLOW, shows("idle"), true],
  ["a stop of a turn that goes on", STOP, shows("running", end("e1")), false],
  ["a stop of a turn that is over", STOP, shows("idle", end("e1")), true],
  ["a stop of a turn that another one followed", STOP, shows("running", end("e1"), end("e2")), true],
  ["a message that is hers again", BACK, shows("running"), true],
  ["a message that still waits", BACK, shows("running", user("m", true)), false],
  ["a message that Claude has begun with", BACK, shows("running", user("m")), true],
])("settled or not: %s", (_, kept, timeline, settled) => expect(isSettled(kept, timeline)).toBe(settled));

test("a stop is not said again where it would drop what she has written since", () => {
  expect(ruleOf(STOP, shows("running", user("later", true)), [])).toBe("never");
  expect(ruleOf(STOP, shows("running", user("m")), [])).toBe("now");
});

test("what she takes back before a stop does not hold it up", () => {
  const timeline = shows("running", user("m", true));
  expect(ruleOf(STOP, timeline, [{ type: "take_back", ...about }])).toBe("now");
});

test("of a conversation that nobody looks at, nothing is repeated that would be refused if it had arrived", () => {
  expect([SAY, ALLOW, STOP, BACK, RETRY].map((one) => ruleOf(one, null, []))).toEqual([
    ...["now", "now", "now", "later", "later"],
  ]);
});
