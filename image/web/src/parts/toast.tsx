import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon";

const STAYS_MS = 8000;

export interface Toast {
  text: string;
  action?: { label: string; run: () => void };
}

export const toast = signal<Toast | null>(null);

export function Toasts() {
  const shown = toast.value;
  const [isHeld, hold] = useState(false);
  useEffect(() => {
    if (!shown || isHeld) return;
    const timer = setTimeout(() => {
      toast.value = null;
    }, STAYS_MS);
    return () => clearTimeout(timer);
  }, [shown, isHeld]);
  return (
    <div class="toasts" role="status" onMouseEnter={() => hold(true)} onMouseLeave={() => hold(false)}>
      {shown && <OneToast {...shown} />}
    </div>
  );
}

function OneToast({ text, action }: Toast) {
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
