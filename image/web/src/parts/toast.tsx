import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { usesKeys } from "./hand";
import { Icon } from "./icon";

const STAYS_MS = 8000;
/** For those who have to walk to its button. */
const STAYS_FOR_KEYS_MS = 30_000;

export interface Toast {
  text: string;
  action?: { label: string; run: () => void };
}

export const toast = signal<Toast | null>(null);

export function Toasts() {
  const shown = toast.value;
  const [isPointedAt, point] = useState(false);
  const [isFocused, focus] = useState(false);
  const isHeld = isPointedAt || isFocused;
  useEffect(() => {
    if (!shown || isHeld) return;
    const stays = shown.action && usesKeys() ? STAYS_FOR_KEYS_MS : STAYS_MS;
    const timer = setTimeout(() => {
      toast.value = null;
    }, stays);
    return () => clearTimeout(timer);
  }, [shown, isHeld]);
  useEffect(() => {
    if (!shown) focus(false);
  }, [shown]);
  return (
    <div
      class="toasts"
      role="status"
      onMouseEnter={() => point(true)}
      onMouseLeave={() => point(false)}
      onFocusIn={() => focus(true)}
      onFocusOut={() => focus(false)}
    >
      {shown && <OneToast key={shown.text} {...shown} />}
    </div>
  );
}

/** Where what she pressed is gone with what she deleted, the keys go on at the way back. */
function OneToast({ text, action }: Toast) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const isNowhere = !document.activeElement || document.activeElement === document.body;
    if (usesKeys() && isNowhere) button.current?.focus();
  }, []);
  const close = () => {
    toast.value = null;
  };
  return (
    <div class="toast">
      <span>{text}</span>
      {action && (
        <button
          type="button"
          class="toast-action"
          ref={button}
          onClick={() => {
            close();
            action.run();
          }}
        >
          {action.label}
        </button>
      )}
      <button type="button" class="toast-close" aria-label="Dismiss" onClick={close}>
        <Icon name="close" />
      </button>
    </div>
  );
}
