// @vitest-environment jsdom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";
import { askHer, Dialogs } from "./dialog";

beforeEach(async () => {
  // jsdom knows dialogs, and not how to open them.
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  await act(() => render(null, document.body));
  await act(() => render(<Dialogs />, document.body));
});

afterEach(() => act(() => document.querySelector<HTMLButtonElement>("dialog .plain")?.click()));

const question = { title: "New file", text: "", action: "Create", field: "Name", ending: ".md" };
const field = () => document.querySelector<HTMLInputElement & HTMLTextAreaElement>("[aria-label=Name]")!;

async function asked(value?: string): Promise<{ answer: () => string | null | undefined }> {
  let answer: string | null | undefined;
  await act(() => void askHer({ ...question, ...(value === undefined ? {} : { value }) }).then((is) => (answer = is)));
  return { answer: () => answer };
}

const enter = (how: KeyboardEventInit = {}) =>
  field().dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how }));

test("a name has one line, which Enter sends as in any form", async () => {
  const { answer } = await asked("notes.md");
  expect([field().tagName, field().type, enter()]).toEqual(["INPUT", "text", true]);
  field().value = "plans.md";
  await act(() => field().form?.requestSubmit());
  expect(answer()).toBe("plans.md");
});

test("the Enter that ends a word of an input method sends nothing", async () => {
  await asked("notes.md");
  expect([enter({ isComposing: true }), enter({ keyCode: 229 })]).toEqual([false, false]);
});

test("what she types takes the place of the name, and the ending stays", async () => {
  await asked("notes.md");
  expect([field().selectionStart, field().selectionEnd]).toEqual([0, 5]);
});

test("what may have many lines has them", async () => {
  await asked();
  expect(field().tagName).toBe("TEXTAREA");
});
