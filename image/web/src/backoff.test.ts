import { expect, test } from "vitest";
import { delayMs } from "./backoff";

test("the wait doubles, up to eight seconds", () => {
  const full = (attempt: number) => delayMs(attempt, () => 1);
  expect([0, 1, 2, 5, 20].map(full)).toEqual([250, 500, 1000, 8000, 8000]);
});

test("no two pages come back at the same moment", () => {
  expect(delayMs(3, () => 0)).toBe(1000);
  expect(delayMs(3, () => 0.5)).toBe(1500);
});
