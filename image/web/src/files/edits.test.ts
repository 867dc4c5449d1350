// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const edit = (text: string) => ({ text, etag: "e1", encoding: "utf-8", eol: "lf" });

async function load(): Promise<typeof import("./edits")> {
  vi.resetModules();
  return import("./edits");
}

beforeEach(() => localStorage.clear());
afterEach(() => vi.restoreAllMocks());

test("what she has typed and not saved outlives the page", async () => {
  (await load()).keepEdit("a/b.md", edit("hers"));
  expect((await load()).editOf("a/b.md")).toEqual(edit("hers"));
});

test("it goes with the file that is renamed, and with the folder that is moved", async () => {
  const { keepEdit, moveEdits, edited } = await load();
  for (const path of ["a/b.md", "a.md", "ab/c.md"]) keepEdit(path, edit(path));
  moveEdits("a", "z/a");
  moveEdits("a.md", "b.md");
  expect([...edited.value].sort()).toEqual(["ab/c.md", "b.md", "z/a/b.md"]);
});

test("what another tab holds of the same file is not dropped with what this one has saved", async () => {
  const { keepEdit, dropEdit, editOf } = await load();
  keepEdit("a.md", edit("of the other tab"));
  dropEdit("a.md", "of this one");
  expect(editOf("a.md")?.text).toBe("of the other tab");
  dropEdit("a.md", "of the other tab");
  expect(editOf("a.md")).toBeUndefined();
});

test("the browser asks before it closes a page only where it could not keep what she typed", async () => {
  const { keepEdit } = await load();
  const asks = () => !dispatchEvent(new Event("beforeunload", { cancelable: true }));
  keepEdit("a.md", edit("small"));
  expect(asks()).toBe(false);
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  keepEdit("a.md", edit("very large"));
  expect(asks()).toBe(true);
});
