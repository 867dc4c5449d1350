// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Shelf } from "./shelf";

beforeEach(() => localStorage.clear());
afterEach(() => vi.restoreAllMocks());

/** As the browser does in every other tab. */
function told(key: string): void {
  dispatchEvent(new StorageEvent("storage", { key, newValue: localStorage.getItem(key) }));
}

test("what two tabs put there is there in both, and after a reload", () => {
  const [one, other] = [new Shelf<string>("s"), new Shelf<string>("s")];
  one.put("a", "hers");
  other.put("b", "also hers");
  for (const key of ["s:a", "s:b"]) told(key);
  expect([one.all.value, other.all.value]).toEqual([
    ["hers", "also hers"],
    ["hers", "also hers"],
  ]);
  expect(new Shelf("s").all.value).toEqual(["hers", "also hers"]);
});

test("it keeps the order in which things were put there", () => {
  vi.spyOn(Date, "now").mockReturnValue(1000);
  const shelf = new Shelf<string>("s");
  for (const key of ["c", "a", "b"]) shelf.put(key, key);
  expect(new Shelf("s").all.value).toEqual(["c", "a", "b"]);
});

test("a thing is taken once, by one tab", () => {
  const one = new Shelf<string>("s");
  one.put("a", "hers");
  const other = new Shelf<string>("s");
  expect([other.take("a"), one.take("a")]).toEqual(["hers", undefined]);
  expect(one.all.value).toEqual([]);
});

test("what another tab has taken is gone here too", () => {
  const one = new Shelf<string>("s");
  one.put("a", "hers");
  new Shelf<string>("s").take("a");
  told("s:a");
  expect(one.all.value).toEqual([]);
});

test("other shelves are left alone", () => {
  const shelf = new Shelf<string>("s");
  new Shelf<string>("other").put("a", "not ours");
  told("other:a");
  expect([shelf.all.value, new Shelf("s").all.value]).toEqual([[], []]);
});

test("where the browser refuses it stays in memory, and says so", () => {
  const shelf = new Shelf<string>("s");
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  expect(shelf.put("a", "hers")).toBe(false);
  expect(shelf.get("a")).toBe("hers");
  expect(shelf.take("a")).toBe("hers");
});

test("of too many the oldest go", () => {
  const shelf = new Shelf<string>("s", 2);
  for (const key of ["a", "b", "c"]) shelf.put(key, key);
  expect([shelf.keys(), localStorage.length]).toEqual([["b", "c"], 2]);
});
