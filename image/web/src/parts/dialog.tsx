// One question at a time, over everything else; the browser keeps the focus inside.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

interface Question {
  title: string;
  text: string;
  action: string;
  isDangerous?: boolean;
  /** Asks for words instead of yes or no. */
  field?: string;
  /** What stands there already. */
  value?: string;
}

const open = signal<(Question & { settle: (words: string | null) => void }) | null>(null);

/** What she wrote ("" where nothing was asked for); null where she changed her mind. */
export function askHer(question: Question): Promise<string | null> {
  return new Promise((settle) => {
    open.value?.settle(null);
    open.value = { ...question, settle };
  });
}

export function Dialogs() {
  return open.value && <OneDialog key={open.value.title} {...open.value} />;
}

function OneDialog({
  title,
  text,
  action,
  isDangerous,
  field,
  value,
  settle,
}: Question & { settle: (words: string | null) => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => box.current?.showModal(), []);
  const close = (words: string | null) => {
    open.value = null;
    settle(words);
  };
  return (
    <dialog class="dialog" ref={box} aria-labelledby="dialog-title" onClose={() => close(null)}>
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          close(area.current?.value ?? "");
        }}
      >
        <h2 id="dialog-title">{title}</h2>
        {text && <p>{text}</p>}
        {field && (
          <textarea ref={area} aria-label={field} rows={value === undefined ? 4 : 1} defaultValue={value} dir="auto" />
        )}
        <div class="actions end">
          <button type="button" class="plain" onClick={() => close(null)}>
            Cancel
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
