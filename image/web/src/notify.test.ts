// @vitest-environment jsdom
import { afterEach, expect, test, vi } from "vitest";
import { newsOf } from "./notify";
import { isLooking } from "./push";

afterEach(() => vi.restoreAllMocks());

test.each([
  ["running", "waiting", "Claude waits for your answer"],
  ["idle", "waiting", "Claude waits for your answer"],
  ["waiting", "waiting", ""],
  ["running", "idle", "Claude has finished"],
  ["waiting", "idle", "Claude has finished"],
  ["idle", "idle", ""],
  ["idle", "running", ""],
  ["waiting", "running", ""],
] as const)("from %s to %s: %s", (before, now, news) => {
  expect(newsOf(before, now)).toBe(news);
});

test.each([
  [false, true, true],
  [false, false, false],
  [true, true, false],
])("hidden %s, focused %s: she looks at it: %s", (hidden, focused, looks) => {
  vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
  vi.spyOn(document, "hasFocus").mockReturnValue(focused);
  expect(isLooking()).toBe(looks);
});
