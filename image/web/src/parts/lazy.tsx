import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Icon } from "./icon";

type Loaded = { default: ComponentType };

const Wait = () => <main class="lazy" id="main" aria-busy="true" />;

/** A part of the page whose code comes when it is first shown; meanwhile `Waiting` is. */
export function lazy(load: () => Promise<Loaded>, Waiting: ComponentType = Wait): ComponentType {
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
    if (isLost && Waiting === Wait) return <Lost again={() => setLost(false)} />;
    return Part ? <Part /> : <Waiting />;
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
