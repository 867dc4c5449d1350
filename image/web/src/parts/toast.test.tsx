// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watchHand } from "./hand";
import { toast, Toasts } from "./toast";

watchHand();
const undo = vi.fn();
let elsewhere: HTMLButtonElement;

beforeEach(async () => {
  vi.useFakeTimers();
  document.body.innerHTML = "<button>Elsewhere</button><div></div>";
  elsewhere = document.querySelector("button")!;
  await act(() => render(<Toasts />, document.querySelector("div")!));
  dispatchEvent(new Event("pointerdown"));
});
afterEach(async () => {
  toast.value = null;
  await act(() => render(null, document.querySelector("div")!));
  vi.useRealTimers();
});

const button = () => document.querySelector<HTMLButtonElement>(".toast-action");
const show = () => act(() => void (toast.value = { text: "It was deleted", action: { label: "Undo", run: undo } }));
const wait = (ms: number) => act(() => void vi.advanceTimersByTime(ms));
const press = () => dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));

test("it goes after a while", async () => {
  await show();
  await wait(8000);
  expect(toast.value).toBeNull();
});

test("while it has the focus it stays", async () => {
  await show();
  await act(() => button()?.focus());
  await wait(60_000);
  expect(toast.value).not.toBeNull();
  await act(() => elsewhere.focus());
  await wait(8000);
  expect(toast.value).toBeNull();
});

test("for who uses keys a way back stays longer", async () => {
  elsewhere.focus();
  press();
  await show();
  await wait(29_000);
  expect(toast.value).not.toBeNull();
  await wait(1000);
  expect(toast.value).toBeNull();
});

test("where the keys have lost their place they go on at the way back", async () => {
  press();
  await show();
  expect(document.activeElement).toBe(button());
});

test("it takes the focus from nothing else, and from no pointer", async () => {
  await show();
  expect(document.activeElement).toBe(document.body);
  toast.value = null;
  elsewhere.focus();
  press();
  await show();
  expect(document.activeElement).toBe(elsewhere);
});
