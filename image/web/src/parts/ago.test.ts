import { expect, test } from "vitest";
import { ago } from "./ago";

const NOW = new Date("2026-03-10T12:00:00Z");

test.each([
  ["2026-03-10T11:59:40Z", "just now"],
  ["2026-03-10T12:00:20Z", "just now"],
  ["2026-03-10T11:58:59Z", "1 minute ago"],
  ["2026-03-10T09:00:00Z", "3 hours ago"],
  ["2026-03-09T11:00:00Z", "yesterday"],
  ["2026-02-28T11:00:00Z", "10 days ago"],
  ["2026-02-09T11:00:00Z", "29 days ago"],
  ["2026-02-08T11:00:00Z", "Feb 8, 2026"],
  ["2019-06-15T12:00:00Z", "Jun 15, 2019"],
  ["1970-01-01T00:00:00Z", ""],
  ["nonsense", ""],
])("%s was %s", (at, words) => {
  expect(ago(at, NOW, "en")).toBe(words);
});

test("a date is written in the reader's language", () => {
  expect(ago("2019-06-15T12:00:00Z", NOW, "de")).toBe("15.06.2019");
});
