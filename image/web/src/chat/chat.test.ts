// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Item, TurnState } from "../protocol";
import { FakeSocket } from "../support/socket";

const ID = "91ea181d-5cd2-4d4f-894b-352f7e08148d";
const card = { kind: "ask", id: "card", at: "", title: "May I?", ask: "permission", state: "open" } as unknown as Item;
const waits = (id: string) => ({ kind: "user", id, at: "", text: id, queued: true, attachments: [] }) as Item;

let chat: typeof import("./chat");
let drafts: typeof import("./drafts");
let live: typeof import("../live").live;
let toast: typeof import("../parts/toast").toast;

const frames = () => FakeSocket.last.sent.map((one) => JSON.parse(one as string) as Record<string, string>);
const sent = (type: string) => frames().filter((one) => one.type === type);

async function tell(...messages: object[]): Promise<void> {
  for (const message of messages) FakeSocket.last.give(JSON.stringify(message));
  await vi.advanceTimersByTimeAsync(200);
}

const snapshot = (turn: TurnState, ...items: Item[]) => ({
  ...{ type: "snapshot", conversation: ID, epoch: "e", seq: 1, more: false, queued: 0 },
  ...{ turn, items },
});

async function connect(...known: object[]): Promise<void> {
  live.rest();
  live.wake();
  FakeSocket.last.open();
  await tell(...known, { type: "pong" });
}

beforeEach(async () => {
  vi.useFakeTimers();
  localStorage.clear();
  vi.resetModules();
  FakeSocket.install();
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("fetch", () => new Promise(() => undefined));
  chat = await import("./chat");
  drafts = await import("./drafts");
  live = (await import("../live")).live;
  toast = (await import("../parts/toast")).toast;
  (await import("../place")).toChat(ID);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("an answer that a dead connection has swallowed is given again over the next one", async () => {
  await connect(snapshot("waiting", card));
  chat.reply("card", { decision: "allow" });
  expect([...chat.answered.value]).toEqual(["card"]);
  await vi.advanceTimersByTimeAsync(5000); // nothing is heard: it was dead
  FakeSocket.last.open();
  await tell(snapshot("waiting", card), { type: "pong" });
  expect(sent("answer")).toMatchObject([{ ask: "card", decision: "allow" }]);
  await tell({ type: "event", conversation: ID, seq: 2, op: "set", id: "card", patch: { state: "allowed" } });
  expect(chat.answered.value.size).toBe(0);
});

test("an answer that had arrived after all is no trouble", async () => {
  await connect(snapshot("waiting", card));
  chat.reply("card", { decision: "allow" });
  const refusal = { type: "refused", of: "answer", conversation: ID, ask: "card", message: "Already." };
  await tell({ ...refusal, code: "already_answered" });
  expect([chat.answered.value.size, toast.value]).toEqual([0, null]);
});

test("an answer that makes no sense frees its card", async () => {
  await connect(snapshot("waiting", card));
  chat.reply("card", { decision: "allow" });
  await tell({ type: "refused", of: "answer", conversation: ID, ask: "card", code: "no_answer", message: "Why?" });
  expect([chat.answered.value.size, toast.value?.text]).toEqual([0, "Why?"]);
});

test("a stop is asked for again until the turn has ended", async () => {
  await connect(snapshot("running"));
  chat.stop();
  await connect(snapshot("running"));
  expect([sent("stop").length, chat.stopping.value]).toEqual([1, true]);
  await connect(snapshot("idle"));
  expect([sent("stop").length, chat.stopping.value]).toEqual([0, false]);
});

test("what she takes back is hers again also where a snapshot tells of it", async () => {
  await connect(snapshot("running", waits("my words")));
  chat.withdraw(waits("my words") as never);
  await connect(snapshot("running"));
  expect([drafts.draftOf(ID), sent("take_back")]).toEqual(["my words", []]);
});

test("only the message that was refused comes back into the box", async () => {
  await connect(snapshot("idle"));
  chat.say("taken");
  chat.say("refused");
  const [, second] = sent("send");
  const refusal = { type: "refused", of: "send", conversation: ID, code: "bad_text", message: "No." };
  await tell({ ...refusal, message_id: second?.message_id });
  expect(drafts.draftOf(ID)).toBe("refused");
  expect(chat.sending.value).toMatchObject([{ text: "taken" }]);
});

const step = (index: number) => ({ kind: "thinking", id: `s${index}`, at: "", text: "", done: true }) as Item;
const steps = (count: number) => Array.from({ length: count }, (_, index) => step(index));
const added = (count: number) => ({ type: "event", conversation: ID, seq: 2, op: "add", item: step(count) });

test("a conversation that goes on for hours does not fill the page's memory", async () => {
  await connect(snapshot("running", ...steps(800)), added(800));
  expect([chat.timeline.value.items.length, chat.timeline.value.more]).toEqual([400, true]);
  expect(chat.timeline.value.items.at(-1)?.id).toBe("s800");
});

test("what she reads is not taken away under her eyes", async () => {
  chat.isReadingBack.value = true;
  await connect(snapshot("running", ...steps(800)), added(800));
  expect(chat.timeline.value.items).toHaveLength(801);
});

test("what was sent to a conversation that she left is settled once the server has surely had it", async () => {
  await connect(snapshot("waiting", card));
  chat.reply("card", { decision: "allow" });
  (await import("../place")).toChat();
  await tell({ type: "pong" });
  expect((await import("../outbox")).isAllSent.value).toBe(false);
  await tell({ type: "pong" });
  expect((await import("../outbox")).isAllSent.value).toBe(true);
});
