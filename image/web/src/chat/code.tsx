import { useEffect, useState } from "preact/hooks";
import { CopyButton } from "../parts/copy";
import type { Coloured } from "./highlight";

const LONGEST_COLOURED = 50_000;

/** A block of code; its colours come later, once it is complete. */
export function CodeBlock({ text, language, done }: { text: string; language: string; done: boolean }) {
  const coloured = useColours(text, language, done);
  return (
    <figure class="code">
      <figcaption>
        <span>{language || "text"}</span>
        <CopyButton text={() => text} label="Copy code" />
      </figcaption>
      <pre dir="ltr" tabIndex={0}>
        <code>{coloured ? coloured.map(paint) : text}</code>
      </pre>
    </figure>
  );
}

function useColours(text: string, language: string, done: boolean): readonly Coloured[] | null {
  const [coloured, setColoured] = useState<readonly Coloured[] | null>(null);
  useEffect(() => {
    setColoured(null);
    if (!done || !language || text.length > LONGEST_COLOURED) return;
    let isWanted = true;
    import("./highlight").then(({ colour }) => isWanted && setColoured(colour(text, language))).catch(() => undefined);
    return () => {
      isWanted = false;
    };
  }, [text, language, done]);
  return coloured;
}

function paint(part: Coloured, index: number) {
  if (typeof part === "string") return part;
  return (
    <span key={index} class={`hl-${part.scope}`}>
      {part.children.map(paint)}
    </span>
  );
}
