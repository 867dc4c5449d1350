import { expect, test, vi } from "vitest";
import { delayMs, persistently } from "./backoff";

test("the wait doubles, up to eight seconds", () => {
  const full = (attempt: number) => delayMs(attempt, () => 1);
  expect([0, 1, 2, 5, 20].map(full)).toEqual([250, 500, 1000, 8000, 8000]);
});

test("no two pages come back at the same moment", () => {
  expect(delayMs(3, () => 0)).toBe(1000);
  expect(delayMs(3, () => 0.5)).toBe(1500);
});

test("what the network swallowed is done again, and in the end it is said", async () => {
  vi.useFakeTimers();
  const work = vi.fn<() => Promise<string>>().mockRejectedValueOnce(new Error("one")).mockResolvedValueOnce("done");
  const done = persistently(work);
  await vi.runAllTimersAsync();
  expect(await done).toBe("done");
  work.mockRejectedValue(new Error("away"));
  const never = persistently(work).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  expect(await never).toEqual(new Error("away"));
  expect(work).toHaveBeenCalledTimes(2 + 4);
  vi.useRealTimers();
});
