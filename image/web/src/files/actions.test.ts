// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Entry } from "./entry";

const entry = { path: "a/b.txt", name: "b.txt", kind: "file" } as Entry;
let saved: string[];
let status: number;

beforeEach(() => {
  saved = [];
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("fetch", () =>
    Promise.resolve(Response.json({ error: { code: "not_found", message: "It is gone.", hint: "" } }, { status })),
  );
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push(`${this.getAttribute("href")} ${this.hasAttribute("download")}`);
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("a download leaves the page where it is", async () => {
  const { download } = await import("./actions");
  status = 200;
  await download(entry);
  expect(saved).toEqual(["/api/files/download?path=a%2Fb.txt true"]);
});

test("of a file that is gone she is told, and nothing is saved in its place", async () => {
  const { download } = await import("./actions");
  const { toast } = await import("../parts/toast");
  status = 404;
  await download(entry);
  expect([saved, toast.value?.text]).toEqual([[], "It is gone."]);
});
