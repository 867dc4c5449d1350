// The keys that a phone's keyboard has not.

import { BAR } from "./keys";
import type { Held } from "./screen";
import { pasteInto } from "./paste";

export function KeyBar({ held }: { held: Held }) {
  const ctrl = held.value?.ctrl;
  const keepKeyboard = (event: PointerEvent) => event.preventDefault();
  const press = (keys: string) => {
    held.value?.press(keys);
    held.value?.focus();
  };
  return (
    <div class="keybar" role="toolbar" aria-label="Keys" onPointerDown={keepKeyboard}>
      <button
        type="button"
        aria-pressed={ctrl?.value ?? false}
        onClick={() => {
          if (ctrl) ctrl.value = !ctrl.value;
          held.value?.focus();
        }}
      >
        Ctrl
      </button>
      {BAR.map(([label, name, keys]) => (
        <button type="button" key={label} aria-label={name} onClick={() => press(keys)}>
          {label}
        </button>
      ))}
      <button type="button" onClick={() => void pasteInto(held)}>
        Paste
      </button>
    </div>
  );
}
