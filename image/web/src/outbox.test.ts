// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Live } from "./live";
import { FakeSocket } from "./support/socket";

let outbox: typeof import("./outbox");
let live: Live;
const message = (text: string, conversation = "c") => ({ conversation, message_id: `id of ${text}`, text });
const texts = () => FakeSocket.last.sent.map((one) => (JSON.parse(one as string) as { text: string }).text);

/** As the page begins: what was stored by the last one is still there. */
async function load(): Promise<void> {
  vi.resetModules();
  outbox = await import("./outbox");
  live = (await import("./live")).live;
}

beforeEach(async () => {
  sessionStorage.clear();
  FakeSocket.install();
  await load();
});
afterEach(() => vi.unstubAllGlobals());

test("what is written without a connection is kept, and connects", () => {
  outbox.post(message("hello"));
  expect(outbox.unsent.value).toEqual([message("hello")]);
  expect(FakeSocket.all).toHaveLength(1);
});

test("everything unconfirmed is sent again, in order, under its own id", () => {
  live.wake();
  FakeSocket.last.open();
  outbox.post(message("one"));
  outbox.post(message("two"));
  live.rest();
  live.wake();
  FakeSocket.last.open();
  outbox.postAgain();
  expect(texts()).toEqual(["one", "two"]);
});

test("what goes along is named by its id alone, and comes back with the words", () => {
  live.wake();
  FakeSocket.last.open();
  const picture = { id: "a_1", name: "cat.png", type: "image/png", size: 9 };
  outbox.post({ ...message("see"), attachments: [picture], replaces: "u1" });
  expect(JSON.parse(FakeSocket.last.sent.at(-1) as string)).toEqual({
    ...{ type: "send", conversation: "c", message_id: "id of see", text: "see" },
    ...{ attachments: ["a_1"], replaces: "u1" },
  });
  expect(outbox.takeBack("c")).toEqual({ text: "see", attachments: [picture] });
});

test("what has arrived is not sent again", () => {
  outbox.post(message("one"));
  outbox.post(message("two"));
  outbox.confirm("c", new Set(["id of one"]));
  expect(outbox.unsent.value).toEqual([message("two")]);
});

test("the same id in another conversation confirms nothing", () => {
  outbox.post(message("one"));
  outbox.confirm("other", new Set(["id of one"]));
  expect(outbox.unsent.value).toHaveLength(1);
});

test("a reload loses nothing", async () => {
  outbox.post(message("hello"));
  await load();
  expect(outbox.unsent.value).toEqual([message("hello")]);
});

test("what the server refuses goes back to where it was written", () => {
  outbox.post(message("one"));
  outbox.post(message("two"));
  outbox.post(message("three", "other"));
  expect(outbox.takeBack("c")).toEqual({ text: "one\n\ntwo", attachments: [] });
  expect(outbox.unsent.value).toEqual([message("three", "other")]);
});
