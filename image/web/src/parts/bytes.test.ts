import { expect, test } from "vitest";
import { bytes } from "./bytes";

test.each([
  [0, "0 bytes"],
  [1, "1 byte"],
  [999, "999 bytes"],
  [1000, "1.0 KB"],
  [1_449_000, "1.4 MB"],
  [9_990_000, "10 MB"],
  [12_300_000_000, "12 GB"],
  [4e15, "4000 TB"],
])("%d is %s", (count, words) => {
  expect(bytes(count)).toBe(words);
});
