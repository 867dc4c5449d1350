import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { persistently } from "../backoff";
import { Icon } from "./icon";

type Loaded = { default: ComponentType };

const Wait = () => <main class="lazy" id="main" aria-busy="true" />;

/**
 * A part of the page whose code comes when it is first shown; meanwhile `Waiting` is. Where it cannot be loaded its place,
 * a `main` of the page or a part of one, says so; without a place nothing does.
 */
export function lazy(
  load: () => Promise<Loaded>,
  Waiting: ComponentType = Wait,
  place: "main" | "div" | null = Waiting === Wait ? "main" : null,
): ComponentType {
  let known: ComponentType | null = null;
  return function Lazy() {
    const [Part, setPart] = useState<ComponentType | null>(() => known);
    const [isLost, setLost] = useState(false);
    useEffect(() => {
      if (Part || isLost) return;
      persistently(load).then(
        (loaded) => {
          known = loaded.default;
          setPart(() => known);
        },
        () => setLost(true),
      );
    }, [isLost]);
    if (isLost && place) return <Lost Place={place} again={() => setLost(false)} />;
    return Part ? <Part /> : <Waiting />;
  };
}

function Lost({ Place, again }: { Place: "main" | "div"; again: () => void }) {
  return (
    <Place class="lazy" id={Place === "main" ? "main" : undefined}>
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
    </Place>
  );
}
