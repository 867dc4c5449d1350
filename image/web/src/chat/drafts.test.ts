// @vitest-environment jsdom
import { beforeEach, expect, test, vi } from "vitest";

/** As another tab has it. */
async function tabOf(): Promise<typeof import("./drafts")> {
  vi.resetModules();
  return import("./drafts");
}

beforeEach(() => localStorage.clear());

test("two tabs do not write over each other's drafts", async () => {
  const [one, other] = [await tabOf(), await tabOf()];
  one.keepDraft("a", "in one");
  other.keepDraft("b", "in the other");
  const now = await tabOf();
  expect([now.draftOf("a"), now.draftOf("b")]).toEqual(["in one", "in the other"]);
});

test("what an earlier page had kept is still there", async () => {
  localStorage.setItem("drafts", JSON.stringify({ a: "begun", new: "a new one" }));
  const { draftOf } = await tabOf();
  expect([draftOf("a"), draftOf(null), localStorage.getItem("drafts")]).toEqual(["begun", "a new one", null]);
});
