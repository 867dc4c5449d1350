// @vitest-environment jsdom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Entry } from "./entry";

let selection: typeof import("./selection");
let files: typeof import("./folder");
let toast: typeof import("../parts/toast").toast;
let asked: string[];
let refusing: string;

const entry = (path: string) => ({ path, name: path, kind: "file", version: "1" }) as unknown as Entry;
const paths = () => selection.selected.value.map((one) => one.path);

function serve(path: string, { method, body }: { method: string; body?: string }): Promise<Response> {
  const url = new URL(path, "http://x");
  const about = body
    ? (JSON.parse(body) as { path: string; to: string })
    : { path: url.searchParams.get("path"), to: "" };
  asked.push(`${method} ${url.pathname} ${about.path}${about.to && ` ${about.to}`}`);
  const error = { code: "exists", message: "It is there already.", hint: "" };
  if (about.path === refusing) return Promise.resolve(Response.json({ error }, { status: 409 }));
  if (url.pathname === "/api/files" && method === "GET") return new Promise(() => undefined);
  return Promise.resolve(Response.json({ ...entry(about.to || about.path || ""), id: `t ${about.path}` }));
}

beforeEach(async () => {
  asked = [];
  refusing = "";
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("fetch", serve);
  selection = await import("./selection");
  files = await import("./folder");
  toast = (await import("../parts/toast")).toast;
  files.folder.value = null; // no list is asked for again
  files.entries.value = ["a", "b", "c", "d"].map(entry);
  selection.select();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

test("rows are picked one by one, in a range, and all at once", () => {
  selection.toggle("b");
  selection.toggle("d", true);
  expect(paths()).toEqual(["b", "c", "d"]);
  selection.toggle("c");
  expect(paths()).toEqual(["b", "d"]);
  selection.selectAll(true);
  expect([paths().length, selection.areAllSelected.value]).toEqual([4, true]);
});

test("what is gone from the folder is picked no more", () => {
  selection.selectAll(true);
  files.entries.value = ["a", "d"].map(entry);
  expect(paths()).toEqual(["a", "d"]);
});

test("all of them come as one archive", () => {
  const saved: string[] = [];
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    saved.push(this.getAttribute("href") ?? "");
  });
  selection.toggle("a");
  selection.toggle("c");
  selection.downloadSelected();
  expect([saved, selection.isSelecting.value]).toEqual([["/api/files/zip?path=a&path=c&name=Files"], false]);
});

test("all of them go to the trash, and come back from there", async () => {
  selection.toggle("a");
  selection.toggle("b");
  await selection.removeSelected();
  expect([asked, toast.value?.text]).toEqual([
    ["DELETE /api/files a", "DELETE /api/files b"],
    "2 things in the trash.",
  ]);
  asked = [];
  toast.value?.action?.run();
  await vi.waitFor(() => expect(asked).toHaveLength(2));
  expect(asked[0]).toContain("/api/trash/t%20a/restore");
});

test("where one can not be moved she is told why, and what was moved before it stays moved", async () => {
  const { asked: picking } = await import("./picker");
  refusing = "b";
  selection.selectAll(true);
  const moving = selection.moveSelected();
  picking.value?.settle("z");
  await moving;
  expect([asked, toast.value?.text]).toEqual([
    ["POST /api/files/move a z/a", "POST /api/files/move b z/b"],
    "It is there already.",
  ]);
});
