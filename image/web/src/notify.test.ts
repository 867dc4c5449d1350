// @vitest-environment jsdom
import { expect, test } from "vitest";
import { newsOf } from "./notify";

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
