// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Live } from "./live";
import type { Kept, Rule } from "./outbox";
import { FakeSocket } from "./support/socket";

let outbox: typeof import("./outbox");
let live: Live;
const message = (text: string, conversation = "c") => ({ conversation, message_id: `id of ${text}`, text });
const said = (text: string, conversation = "c"): Kept => ({ type: "send", message: message(text, conversation) });
const allowed = (card: string): Kept => ({
  type: "deed",
  deed: { type: "answer", conversation: "c", ask: card, decision: "allow" },
});
const refused = (of: string, ids: object) => ({
  ...{ type: "refused" as const, of, conversation: "c", code: "x", message: "" },
  ...ids,
});
const frames = () => FakeSocket.last.sent.map((one) => JSON.parse(one as string) as Record<string, string>);
const texts = () => frames().flatMap(({ type, text }) => (type === "send" ? [text] : []));
const kinds = () => frames().map(({ type }) => type);

/** As the page begins: what was stored by the last one is still there. */
async function load(): Promise<void> {
  vi.resetModules();
  outbox = await import("./outbox");
  live = (await import("./live")).live;
}

function connect(rule: (one: Kept) => Rule = () => "now"): void {
  live.rest();
  live.wake();
  FakeSocket.last.open();
  outbox.postAgain(rule);
}

async function pong(): Promise<void> {
  FakeSocket.last.give('{"type":"pong"}');
  await vi.advanceTimersByTimeAsync(200);
}

beforeEach(async () => {
  vi.useFakeTimers();
  localStorage.clear();
  sessionStorage.clear();
  FakeSocket.install();
  await load();
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what is written without a connection is kept, and connects", () => {
  outbox.post(said("hello"));
  expect(outbox.unsent.value).toEqual([message("hello")]);
  expect(FakeSocket.all).toHaveLength(1);
});

test("everything unconfirmed is sent again, in order, under its own id", () => {
  connect();
  outbox.post(said("one"));
  outbox.post(said("two"));
  connect();
  expect(texts()).toEqual(["one", "two"]);
});

test("a connection that swallows what is sent is found out at once", async () => {
  connect();
  outbox.post(said("one"));
  expect(kinds()).toEqual(["send", "ping"]);
  await vi.advanceTimersByTimeAsync(4000);
  expect(live.state.value).toBe("connecting");
});

test("what goes along is named by its id alone, and comes back with the words", () => {
  connect();
  const picture = { id: "a_1", name: "cat.png", type: "image/png", size: 9 };
  const see = { ...message("see"), attachments: [picture], replaces: "u1" };
  outbox.post({ type: "send", message: see });
  expect(frames()[0]).toEqual({
    ...{ type: "send", conversation: "c", message_id: "id of see", text: "see" },
    ...{ attachments: ["a_1"], replaces: "u1" },
  });
  expect(outbox.takeBack(refused("send", { message_id: "id of see" }))).toEqual({ type: "send", message: see });
});

test("what has arrived is not sent again", () => {
  outbox.post(said("one"));
  outbox.post(said("two"));
  outbox.settle("c", (one) => one.type === "send" && one.message.text === "one");
  expect(outbox.unsent.value).toEqual([message("two")]);
});

test("what another conversation holds settles nothing here", () => {
  outbox.post(said("one"));
  outbox.settle("other", () => true);
  expect(outbox.unsent.value).toHaveLength(1);
});

test("neither a reload nor a closed tab loses anything", async () => {
  outbox.post(said("hello"));
  outbox.post(allowed("card"));
  sessionStorage.clear();
  await load();
  expect([outbox.unsent.value, outbox.deeds.value.length]).toEqual([[message("hello")], 1]);
});

test("what the server refuses goes back, and nothing beside it", () => {
  for (const text of ["one", "two"]) outbox.post(said(text));
  expect(outbox.takeBack(refused("send", { message_id: "id of two" }))).toEqual(said("two"));
  expect(outbox.unsent.value).toEqual([message("one")]);
  outbox.post(allowed("card"));
  outbox.takeBack(refused("answer", { ask: "card" }));
  expect(outbox.deeds.value).toEqual([]);
});

test("an answer is repeated over the next connection, after the server was heard, until it is settled", async () => {
  outbox.post(allowed("card"));
  connect();
  expect(kinds()).toEqual(["ping"]);
  await pong();
  expect(kinds()).toEqual(["ping", "answer"]);
  await pong();
  expect(kinds()).toEqual(["ping", "answer"]);
  connect();
  await pong();
  expect(kinds()).toEqual(["ping", "answer"]);
  outbox.settle("c", () => true);
  connect();
  await pong();
  expect(kinds()).toEqual([]);
});

test("what may not be repeated is forgotten, what must wait is kept", async () => {
  outbox.post(allowed("never"));
  outbox.post(allowed("later"));
  connect((one) => (one.type === "deed" && one.deed.type === "answer" ? (one.deed.ask as Rule) : "now"));
  await pong();
  expect(kinds()).toEqual(["ping"]);
  expect(outbox.deeds.value).toMatchObject([{ ask: "later" }]);
});

test("what a stop was followed by stays behind it", async () => {
  outbox.post({ type: "deed", deed: { type: "stop", conversation: "c" }, lastEnd: null });
  outbox.post(said("and now something else"));
  connect();
  await pong();
  expect(kinds()).toEqual(["ping", "stop", "send"]);
});
