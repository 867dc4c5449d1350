// @vitest-environment jsdom
import { beforeAll, expect, test, vi } from "vitest";
import type { Item, ToolItem } from "../protocol";

let named: typeof import("./touched").named;

beforeAll(async () => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  ({ named } = await import("./touched"));
});

const tool = (file_path: unknown, status: ToolItem["status"] = "done"): Item =>
  ({ kind: "tool", id: String(file_path), at: "", name: "Write", input: { file_path }, status }) as unknown as Item;
const known = (...items: Item[]) => Object.fromEntries(named(items, "/w"));

test("a file that Claude had in hand is known by its path and by its name", () => {
  expect(known(tool("/w/a/b.py"))).toEqual({ "a/b.py": "a/b.py", "b.py": "a/b.py" });
});

test("a name that two have is nobody's", () => {
  expect(known(tool("/w/a/b.py"), tool("/w/c/b.py"))).toEqual({ "a/b.py": "a/b.py", "c/b.py": "c/b.py" });
});

test("what lies elsewhere, what failed and what is no path is not known", () => {
  expect(known(tool("/etc/passwd"), tool("/w/no", "failed"), tool(7), tool(undefined))).toEqual({});
});
