import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon";

type Loaded = { default: ComponentType };

/** A part of the page whose code comes when it is first shown. */
export function lazy(load: () => Promise<Loaded>): ComponentType {
  let known: ComponentType | null = null;
  return function Lazy() {
    const [Part, setPart] = useState<ComponentType | null>(() => known);
    const [isLost, setLost] = useState(false);
    useEffect(() => {
      if (Part || isLost) return;
      load().then(
        (loaded) => {
          known = loaded.default;
          setPart(() => known);
        },
        () => setLost(true),
      );
    }, [isLost]);
    if (isLost) return <Lost again={() => setLost(false)} />;
    return Part ? <Part /> : <main class="lazy" id="main" aria-busy="true" />;
  };
}

function Lost({ again }: { again: () => void }) {
  return (
    <main class="lazy" id="main">
      <div role="alert">
        <Icon name="warning" />
        <p>This part of the page could not be loaded.</p>
        <button type="button" onClick={again}>
          Try again
        </button>
        <button type="button" class="plain" onClick={() => location.reload()}>
          Load the page again
        </button>
      </div>
    </main>
  );
}
