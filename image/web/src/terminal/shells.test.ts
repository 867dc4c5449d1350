import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { live } from "../live";
import type { TerminalInfo } from "../protocol";
import { FakeSocket } from "../support/socket";
import { findShell, shells, shown } from "./shells";

let known: TerminalInfo[];

beforeEach(async () => {
  vi.useFakeTimers();
  FakeSocket.install();
  vi.stubGlobal("location", { origin: "http://here" });
  vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => undefined });
  vi.stubGlobal("requestAnimationFrame", (work: () => void) => work());
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ terminals: known })));
  live.wake();
  FakeSocket.last.open();
  known = [shell("t_1"), shell("t_2")];
  await findShell();
});

afterEach(() => {
  live.rest();
  shells.value = [];
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const shell = (id: string, title = "", running = true) => ({ id, title, running }) as TerminalInfo;
const ids = () => shells.value.map((one) => one.id);

async function awayFor(ms: number): Promise<void> {
  FakeSocket.last.breakOff();
  await vi.advanceTimersByTimeAsync(ms);
  FakeSocket.last.open();
  await vi.advanceTimersByTimeAsync(50);
}

test("what became of the shells while this device was away is seen when it is back", async () => {
  expect(shown.value).toBe("t_2");
  known = [shell("t_2", "vim"), shell("t_3")];
  await awayFor(1000);
  expect(ids()).toEqual(["t_2", "t_3"]);
  expect(shells.value[0]?.title).toBe("vim");
});

test("the one on the screen stays there, so that she reads what became of it", async () => {
  known = [];
  await awayFor(1000);
  expect([ids(), shown.value]).toEqual([["t_2"], "t_2"]);
});

test("a shell that ended meanwhile stays on the screen, as one that has ended", async () => {
  known = [shell("t_1"), shell("t_2", "", false), shell("t_3", "", false)];
  await awayFor(1000);
  expect(shells.value.map((one) => [one.id, one.running])).toEqual([
    ["t_1", true],
    ["t_2", false],
  ]);
});
