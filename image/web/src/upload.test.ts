// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { nextSize, upload } from "./upload";

const SIZE = 600_000;
const file = new File([new Uint8Array(SIZE)], "big.bin");

let held = 0;
let losses = 0;
/** How many requests of any kind nobody answers. */
let outage = 0;
let asked: string[] = [];

/** A server that holds what arrived, behind a network that loses some answers. */
async function serve(path: string, { method, body }: { method: string; body?: Blob | string }): Promise<Response> {
  asked.push(`${method} ${path}`);
  if (outage-- > 0) throw new TypeError("network");
  if (method === "PUT") {
    if (Number(new URL(path, "http://x").searchParams.get("offset")) !== held) return answer(409);
    held += (body as Blob).size;
    if (losses-- > 0) throw new TypeError("network");
  }
  return answer(method === "POST" ? 201 : 200);
}

const answer = (status: number) =>
  new Response(
    JSON.stringify(
      status === 409
        ? { error: { code: "offset", message: "not there" } }
        : { id: "u1", path: null, size: SIZE, offset: held, entry: null },
    ),
    { status },
  );

beforeEach(() => {
  held = 0;
  losses = 0;
  outage = 0;
  asked = [];
  vi.spyOn(Math, "random").mockReturnValue(0);
  vi.stubGlobal("fetch", serve);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("a file arrives in pieces, each where the last one ended", async () => {
  const shares: number[] = [];
  const done = await upload(file, null, { progress: (share) => shares.push(share) });
  expect(done.offset).toBe(SIZE);
  expect(held).toBe(SIZE);
  expect(shares.at(-1)).toBe(1);
  expect(shares).toEqual([...shares].sort((a, b) => a - b));
});

test("where an answer was lost it asks how far it came, and sends nothing twice", async () => {
  losses = 2;
  await upload(file, null);
  expect(held).toBe(SIZE);
  expect(asked.filter((one) => one.startsWith("GET"))).toHaveLength(2);
});

test("however long nothing can be reached, nothing is given up, and it goes on where it stood", async () => {
  vi.useFakeTimers();
  const waits: boolean[] = [];
  const progress = vi.fn(() => {
    if (progress.mock.calls.length === 1) outage = 200;
  });
  const done = upload(file, null, { progress, waits: (is) => waits.push(is) });
  await vi.advanceTimersByTimeAsync(3600_000);
  expect((await done).offset).toBe(SIZE);
  expect(asked.filter((one) => /^(POST|DELETE)/.test(one))).toEqual(["POST /api/uploads"]);
  expect([waits.includes(true), waits.at(-1)]).toEqual([true, false]);
  vi.useRealTimers();
});

test("it goes on as soon as the network is back", async () => {
  vi.useFakeTimers();
  outage = 60;
  const done = upload(file, null);
  await vi.advanceTimersByTimeAsync(30_000);
  const before = asked.length;
  dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);
  expect(asked.length).toBeGreaterThan(before);
  await vi.advanceTimersByTimeAsync(600_000);
  expect((await done).offset).toBe(SIZE);
  vi.useRealTimers();
});

test("a piece that never comes through, although the workspace answers, is given up", async () => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", (path: string, { method }: { method: string }) => {
    if (method === "PUT") return Promise.reject(new TypeError("network"));
    return serve(path, { method });
  });
  const given = upload(file, null).catch((error: Error) => error.message);
  await vi.advanceTimersByTimeAsync(120_000);
  expect(await given).toContain("could not be reached");
  expect(asked.at(-1)).toBe("DELETE /api/uploads/u1");
  vi.useRealTimers();
});

test("what she gives up is forgotten by the server too", async () => {
  const giving = new AbortController();
  const progress = () => giving.abort();
  await expect(upload(file, null, { progress, signal: giving.signal })).rejects.toThrow();
  expect(asked.at(-1)).toBe("DELETE /api/uploads/u1");
});

test.each([
  [100, 1024 ** 2, 2 * 1024 ** 2],
  [800, 1024 ** 2, 1024 ** 2],
  [5000, 1024 ** 2, 1024 ** 2 / 2],
  [1, 8 * 1024 ** 2, 8 * 1024 ** 2],
])("after %d ms a piece of %d is followed by one of %d", (took, size, next) => {
  expect(nextSize(size, took)).toBe(next);
});
