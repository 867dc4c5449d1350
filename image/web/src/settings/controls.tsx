import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import "../style/settings.css";

/** A group of fields in one frame. */
export function Group({ children }: { children: ComponentChildren }) {
  return <div class="group">{children}</div>;
}

interface FieldProps {
  label: string;
  note?: string;
  isTall?: boolean;
  children: (ids: { id: string; "aria-describedby": string | undefined }) => ComponentChildren;
}

/** A named setting with a sentence about it; tall ones have their control below. */
export function Field({ label, note, isTall, children }: FieldProps) {
  const id = useId();
  const noteId = `${id}-note`;
  return (
    <div class={`field ${isTall ? "tall" : ""}`}>
      <div class="field-words">
        <label for={id}>{label}</label>
        {note && <p id={noteId}>{note}</p>}
      </div>
      {children({ id, "aria-describedby": note ? noteId : undefined })}
    </div>
  );
}

interface ChoiceProps<T extends string> {
  label: string;
  note?: string;
  kind: "segments" | "cards";
  value: T;
  options: Readonly<Record<T, { label: string; note?: string; picture?: ComponentChildren }>>;
  pick: (value: T) => unknown;
}

/** One of several: side by side, or as cards with room for words or a picture. */
export function Choice<T extends string>({ label, note, kind, value, options, pick }: ChoiceProps<T>) {
  const name = useId();
  const [, drawAgain] = useState(0);
  // Where the choice was not taken after all, the browser has marked it already.
  const picked = async (one: T) => {
    await pick(one);
    drawAgain((times) => times + 1);
  };
  return (
    <div
      class={`field choice ${kind}`}
      role="radiogroup"
      aria-labelledby={`${name}-label`}
      aria-describedby={note ? `${name}-note` : undefined}
    >
      <div class="field-words">
        <span id={`${name}-label`}>{label}</span>
        {note && <p id={`${name}-note`}>{note}</p>}
      </div>
      <div class="options">
        {(Object.keys(options) as T[]).map((one) => (
          <label key={one} class={one === value ? "picked" : ""}>
            <input type="radio" name={name} value={one} checked={one === value} onChange={() => void picked(one)} />
            {options[one].picture}
            <span>
              <span class="option-label">{options[one].label}</span>
              {options[one].note && <small>{options[one].note}</small>}
            </span>
          </label>
        ))}
      </div>
    </div>
  );
}
