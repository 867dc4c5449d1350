// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, expect, test, vi } from "vitest";
import { conversations, hasDeleted } from "../conversations";
import { Deleted } from "./deleted";

const one = (id: string) => ({ id, title: `About ${id}`, updated_at: "2026-11-20T10:00:00Z", turn: "idle" });

afterEach(() => vi.unstubAllGlobals());

test("what was deleted is listed, and put back into the list of conversations", async () => {
  let gone = [one("a"), one("b")];
  vi.stubGlobal("fetch", (path: string) => {
    if (path === "/api/conversations/deleted") return Promise.resolve(Response.json({ conversations: gone }));
    if (path.startsWith("/api/conversations?"))
      return Promise.resolve(Response.json({ conversations: [one("b")], total: 1, deleted: gone.length > 0 }));
    expect(path).toBe("/api/conversations/b/restore");
    gone = [one("a")];
    return Promise.resolve(Response.json(one("b")));
  });
  const box = document.createElement("div");
  await act(() => render(<Deleted />, box));
  const titles = () => [...box.querySelectorAll("li span")].map((title) => title.textContent);
  await vi.waitFor(() => expect(titles()).toEqual(["About a", "About b"]));
  await act(() => box.querySelector<HTMLButtonElement>("[aria-label='Put About b back']")?.click());
  await vi.waitFor(() => expect(titles()).toEqual(["About a"]));
  expect(conversations.value).toMatchObject([{ id: "b" }]);
  await vi.waitFor(() => expect(hasDeleted.value).toBe(true));
});
