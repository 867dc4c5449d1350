// One question at a time, over everything else; the browser keeps the focus inside.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isComposing } from "../chat/keys";

interface Question {
  title: string;
  text: string;
  action: string;
  isDangerous?: boolean;
  /** Asks for words instead of yes or no: for many lines, or for a name where `value` says what stands there already. */
  field?: string;
  value?: string;
  /** What she types first takes the place of all but this end of what stands there. */
  ending?: string;
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
  ending = "",
  settle,
}: Question & { settle: (words: string | null) => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const line = useRef<HTMLInputElement>(null);
  useEffect(() => {
    box.current?.showModal();
    line.current?.setSelectionRange(0, (value?.length ?? 0) - ending.length);
  }, []);
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
          close((line.current ?? area.current)?.value ?? "");
        }}
      >
        <h2 id="dialog-title">{title}</h2>
        {text && <p>{text}</p>}
        {field && value === undefined && <textarea ref={area} aria-label={field} rows={4} dir="auto" />}
        {field && value !== undefined && (
          <input
            ref={line}
            aria-label={field}
            defaultValue={value}
            autocomplete="off"
            dir="auto"
            // Enter sends the form by itself, in some browsers also the one that ends a word of an input method.
            onKeyDown={(event) => event.key === "Enter" && isComposing(event) && event.preventDefault()}
          />
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
