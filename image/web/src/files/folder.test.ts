import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { live } from "../live";
import { FakeSocket } from "../support/socket";
import type { Entry, Listing } from "./entry";
import { entries, follow, show, showHidden } from "./folder";

let unfollow: () => void;
let answers: ((listing: Listing) => void)[];
let asked: string[];

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.install();
  answers = [];
  asked = [];
  vi.stubGlobal("location", { origin: "http://here" });
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => work());
  vi.stubGlobal("fetch", (path: string) =>
    path.includes("/entry")
      ? Promise.resolve(Response.json(entry("a", "folder")))
      : new Promise((answer) => asked.push(path) && answers.push((listing) => answer(Response.json(listing)))),
  );
  live.wake();
  FakeSocket.last.open();
  unfollow = follow();
});

afterEach(() => {
  unfollow();
  live.rest();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const entry = (path: string, kind: "file" | "folder" = "file") => ({ path, kind, version: "1" }) as unknown as Entry;
const names = () => entries.value.map((one) => one.path);
const settled = () => vi.advanceTimersByTimeAsync(50);

async function changed(at: number): Promise<void> {
  FakeSocket.last.give(JSON.stringify({ type: "files_changed", paths: ["a"], at }));
  await settled();
}

async function listed(at: number, ...paths: string[]): Promise<void> {
  answers.shift()?.({ folder: entry("a", "folder"), entries: paths.map((path) => entry(path)), more: false, at });
  await settled();
}

test("a change between the list and the watch is not missed", async () => {
  void show("a");
  await settled();
  await changed(11);
  await listed(10);
  expect(answers).toHaveLength(1);
  await listed(12, "a/new");
  expect(names()).toEqual(["a/new"]);
  expect(answers).toHaveLength(0);
});

test("a list that was made after the watch stood is not asked for twice", async () => {
  void show("a");
  await settled();
  await changed(10);
  await listed(11, "a/new");
  expect(answers).toHaveLength(0);
});

test("of two lists the later one counts, in whatever order they come", async () => {
  void show("a");
  await settled();
  await listed(10);
  await changed(11);
  await changed(12);
  expect(answers).toHaveLength(2);
  const [early, late] = answers.splice(0);
  answers.push(late!);
  await listed(13, "a/new");
  answers.push(early!);
  await listed(11);
  expect(names()).toEqual(["a/new"]);
});

test("another server, with another clock, is listened to as well", async () => {
  void show("a");
  await settled();
  await listed(1000, "a/old");
  FakeSocket.last.breakOff();
  await vi.advanceTimersByTimeAsync(1000);
  FakeSocket.last.open();
  await settled();
  await listed(2, "a/new");
  expect(names()).toEqual(["a/new"]);
});

test("files whose names begin with a dot are listed where she wants to see them", async () => {
  void show("a");
  await settled();
  await listed(10, "a/seen");
  showHidden(true);
  await listed(11, "a/.env", "a/seen");
  expect(names()).toEqual(["a/.env", "a/seen"]);
  showHidden(false);
  await listed(12, "a/seen");
  expect([names(), asked.map((path) => path.includes("hidden=1"))]).toEqual([["a/seen"], [false, true, false]]);
});
