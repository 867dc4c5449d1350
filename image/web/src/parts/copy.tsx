import { useEffect, useState } from "preact/hooks";
import { copy } from "./clipboard";
import { Icon } from "./icon";

const SAYS_SO_MS = 1600;

/** A small button that copies, and says so. */
export function CopyButton({ text, label = "Copy" }: { text: () => string; label?: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), SAYS_SO_MS);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button"
      class="mini"
      aria-label={done ? "Copied" : label}
      title={done ? "Copied" : label}
      onClick={() => void copy(text()).then(setDone)}
    >
      <Icon name={done ? "check" : "copy"} />
    </button>
  );
}
