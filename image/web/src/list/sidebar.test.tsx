// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test, vi } from "vitest";
import { hasDeleted } from "../conversations";
import { drawerOpen, toFiles } from "../place";

let opener: HTMLButtonElement;

beforeEach(async () => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  const { Sidebar } = await import("./sidebar");
  document.body.innerHTML = "<button>Show conversations</button><div></div>";
  opener = document.querySelector("button")!;
  await act(() => render(<Sidebar hide={() => undefined} />, document.querySelector("div")!));
  opener.focus();
  await act(() => void (drawerOpen.value = true));
});

const focused = () => document.activeElement;
const drawer = () => document.querySelector(".sidebar")!;

test("the list takes the focus when it opens, and gives it back when it closes", async () => {
  expect(drawer().contains(focused())).toBe(true);
  await act(() => void drawer().dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true })));
  expect([drawerOpen.value, focused()]).toEqual([false, opener]);
});

test("it takes the focus from nothing that has it by then", async () => {
  await act(() => {
    const page = document.body.appendChild(document.createElement("textarea"));
    page.focus();
    toFiles();
  });
  expect(focused()?.tagName).toBe("TEXTAREA");
});

test("it leads to what was deleted where there is something, and also when nothing else is left", async () => {
  const leads = () => [...drawer().querySelectorAll("nav.conversations a")].map((link) => link.textContent);
  expect(leads()).toEqual([]);
  await act(() => void (hasDeleted.value = true));
  expect(leads()).toEqual(["Recently deleted"]);
});
