// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { enclose, enclosedIn, takeOut } from "./attachments";

let requests: Request[];

/** As the browser's, with its other end in the test's hand. */
class Request {
  upload = {};
  status = 0;
  responseText = "";
  isAborted = false;
  onerror: (() => void) | null = null;
  onload: (() => void) | null = null;
  constructor() {
    requests.push(this);
  }
  open(): void {}
  setRequestHeader(): void {}
  send(): void {}
  abort(): void {
    this.isAborted = true;
  }
  arrive(): void {
    this.status = 201;
    this.responseText = JSON.stringify({ id: "a_1", name: "a.txt", type: "text/plain", size: 1 });
    this.onload?.();
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  requests = [];
  vi.stubGlobal("XMLHttpRequest", Request);
  enclose("c", [new File(["x"], "a.txt", { type: "text/plain" })]);
});
afterEach(() => {
  for (const { key } of enclosedIn("c")) takeOut("c", key);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a file that the network took is sent again by itself, until it has arrived", async () => {
  requests[0]?.onerror?.();
  expect(enclosedIn("c")[0]?.fault).toContain("connection was lost");
  await vi.advanceTimersByTimeAsync(10_000);
  requests[1]?.arrive();
  expect(enclosedIn("c")).toMatchObject([{ id: "a_1", fault: "" }]);
});

test("at once when the network is back, and only once", async () => {
  requests[0]?.onerror?.();
  dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);
  expect(requests).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests).toHaveLength(2);
});

test("what she left out meanwhile is not sent again", async () => {
  requests[0]?.onerror?.();
  takeOut("c", enclosedIn("c")[0]!.key);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(requests).toHaveLength(1);
});
