import { useMemo } from "preact/hooks";
import { blocks, toHtml } from "./markdown";

const copied = new WeakSet<Element>();

function Block({ raw }: { raw: string }) {
  const html = useMemo(() => toHtml(raw), [raw]);
  return <div class="block" ref={addCopyButtons} dangerouslySetInnerHTML={{ __html: html }} />;
}

/** Claude's words: finished blocks stay as they are, only the last one is drawn again. */
export function Prose({ text }: { text: string }) {
  const parts = useMemo(() => blocks(text), [text]);
  return (
    <div class="prose" dir="auto">
      {parts.map((raw, index) => (
        <Block key={index} raw={raw} />
      ))}
    </div>
  );
}

function addCopyButtons(element: Element | null): void {
  if (!element) return;
  for (const code of element.querySelectorAll("pre")) {
    if (copied.has(code)) continue;
    copied.add(code);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.onclick = async () => {
      await navigator.clipboard.writeText(code.querySelector("code")?.textContent ?? "");
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = "Copy";
      }, 1500);
    };
    code.append(button);
  }
}
