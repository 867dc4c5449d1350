import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ask, Refusal } from "./http";

const gone = () => Promise.reject(new TypeError("network changed"));
const cutOff = () =>
  Promise.resolve({ ok: true, text: () => Promise.reject(new TypeError("network changed")) } as unknown as Response);
const fine = () => Promise.resolve(new Response('{"a":1}'));
const fetch = vi.fn<() => Promise<Response>>();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", fetch);
});

afterEach(() => {
  fetch.mockReset();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what only reads is asked again where the network took its answer", async () => {
  fetch.mockImplementationOnce(gone).mockImplementationOnce(cutOff).mockImplementationOnce(fine);
  const answer = ask("GET", "/api/files");
  await vi.runAllTimersAsync();
  expect(await answer).toEqual({ a: 1 });
});

test("after some times it is said", async () => {
  fetch.mockImplementation(gone);
  const answer = ask("GET", "/api/files").catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  expect(await answer).toMatchObject({ status: 0, message: expect.stringContaining("could not be reached") });
  expect(fetch).toHaveBeenCalledTimes(4);
});

test("what changes something is never sent twice", async () => {
  fetch.mockImplementation(cutOff);
  await expect(ask("POST", "/api/files", {})).rejects.toThrow(Refusal);
  expect(fetch).toHaveBeenCalledOnce();
});

test("a refusal is an answer", async () => {
  fetch.mockImplementation(() => Promise.resolve(new Response('{"error":{"message":"No."}}', { status: 404 })));
  await expect(ask("GET", "/api/files")).rejects.toMatchObject({ status: 404, message: "No." });
  expect(fetch).toHaveBeenCalledOnce();
});
