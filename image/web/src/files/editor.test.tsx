// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { EditorView } from "@codemirror/view";
import type { Entry, Text } from "./entry";

// jsdom knows no style sheets that are adopted.
vi.mock("../styles", () => ({ withAdoptedStyles: <T,>(make: () => T) => make() }));

/** A machine that does much else at once takes long to load an editor. */
const PATIENCE_MS = 60_000;
vi.setConfig({ testTimeout: PATIENCE_MS });
const soon = (check: () => void) => vi.waitFor(check, PATIENCE_MS);

const entry = { path: "a/notes.txt", name: "notes.txt", kind: "file", version: "1" } as Entry;

let disk: Text;
let saved: { text: string; etag: string | null }[];
let place: typeof import("../place");
let toast: typeof import("../parts/toast").toast;
let box: HTMLElement;

function on(text: string, etag: string): Text {
  return {
    ...{ path: entry.path, text, etag, size: text.length, state: "text", encoding: "utf-8", eol: "lf" },
    ...{ modified_at: "", writable: true },
  } as Text;
}

function serve(_path: string, { method, body }: { method: string; body?: string }): Promise<Response> {
  if (method !== "PUT") return Promise.resolve(Response.json(disk));
  const asked = JSON.parse(body ?? "") as { text: string; etag: string | null };
  if (asked.etag !== disk.etag)
    return Promise.resolve(Response.json({ error: { code: "changed", message: "", hint: "" } }, { status: 409 }));
  saved.push(asked);
  disk = on(asked.text, "e-saved");
  return Promise.resolve(Response.json({ ...disk, text: null }));
}

/** As after a reload: nothing is in memory but what the browser has kept. */
async function open(): Promise<void> {
  vi.resetModules();
  const { Editor } = await import("./editor");
  place = await import("../place");
  toast = (await import("../parts/toast")).toast;
  place.toFiles(entry.path);
  document.body.innerHTML = "<div></div>";
  box = document.body.firstElementChild as HTMLElement;
  await act(() => render(<Editor entry={entry} />, box));
  await soon(() => expect(editor()).not.toBeNull());
}

const editor = () => {
  const found = box.querySelector<HTMLElement>(".cm-editor");
  return found && EditorView.findFromDOM(found);
};
const text = () => editor()?.state.doc.toString();
const type = (words: string) => act(() => editor()?.dispatch({ changes: { from: 0, insert: words } }));
const close = () => act(() => render(null, box));

async function press(label: string): Promise<void> {
  const button = () => [...box.querySelectorAll("button")].find((one) => one.textContent === label && !one.disabled);
  await soon(() => expect(button()).toBeDefined());
  await act(() => button()?.click());
}

beforeEach(() => {
  localStorage.clear();
  saved = [];
  disk = on("as it was", "e1");
  Range.prototype.getClientRects = () => [] as unknown as DOMRectList;
  vi.stubGlobal("fetch", serve);
  const ignored = () => undefined;
  vi.stubGlobal("matchMedia", () => ({
    ...{ matches: false, addEventListener: ignored, addListener: ignored },
    removeListener: ignored,
  }));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe = () => undefined;
      disconnect = () => undefined;
    },
  );
});
afterEach(() => vi.unstubAllGlobals());

test("what she has typed is there again, wherever she went without saving, and after a reload", async () => {
  await open();
  await type("hers, ");
  place.toChat();
  await close();
  expect(toast.value?.text).toContain("is not saved yet");
  await open();
  expect(text()).toBe("hers, as it was");
  await press("Save");
  await soon(() => expect(saved).toMatchObject([{ text: "hers, as it was", etag: "e1" }]));
  await soon(() => expect(localStorage).toHaveLength(0));
});

test("a page that is closed at once keeps the last letter", async () => {
  await open();
  await type("h");
  dispatchEvent(new Event("pagehide"));
  await open();
  expect(text()).toBe("has it was");
});

test("what another wrote meanwhile is shown at once, and neither is lost", async () => {
  await open();
  await type("hers, ");
  await close();
  disk = on("of another", "e2");
  await open();
  expect([text(), box.querySelector(".changed")?.textContent]).toEqual([
    "hers, as it was",
    expect.stringContaining("Somebody changed this file meanwhile."),
  ]);
  await press("Save");
  expect(saved).toEqual([]);
  await press("Take the other");
  await soon(() => expect(text()).toBe("of another"));
  await type("x");
  await press("Save");
  await soon(() => expect(saved).toMatchObject([{ text: "xof another", etag: "e2" }]));
});

test("what she discards is gone for good", async () => {
  await open();
  await type("hers, ");
  await press("Discard changes");
  await close();
  await open();
  expect(text()).toBe("as it was");
});
