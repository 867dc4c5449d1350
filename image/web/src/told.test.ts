import { expect, test } from "vitest";
import { Told, upToDate } from "./told";

interface Thing {
  id: string;
  words: string;
}
const thing = (id: string, words = "listed"): Thing => ({ id, words });

test("what was told while a list was under way counts more than the list", async () => {
  const told = new Told<Thing>();
  told.note("before", thing("before", "told"));
  let arrive: (list: Thing[]) => void = () => undefined;
  const answer = told.while(new Promise<Thing[]>((go) => (arrive = go)));
  told.note("changed", thing("changed", "told"));
  told.note("gone", null);
  told.note("new", thing("new", "told"));
  arrive([thing("before"), thing("changed"), thing("gone")]);
  expect(upToDate(...(await answer))).toEqual([thing("before"), thing("changed", "told"), thing("new", "told")]);
});

test("of two lists each has its own news", async () => {
  const told = new Told<Thing>();
  const first = told.while(Promise.resolve([thing("a")]));
  told.note("a", null);
  const second = told.while(Promise.resolve([thing("a")]));
  expect(upToDate(...(await first))).toEqual([]);
  expect(upToDate(...(await second))).toEqual([thing("a")]);
});

test("a list that never came leaves nothing behind", async () => {
  const told = new Told<Thing>();
  await expect(told.while(Promise.reject(new Error("away")))).rejects.toThrow("away");
  told.note("a", null);
  expect((await told.while(Promise.resolve([])))[1].size).toBe(0);
});
