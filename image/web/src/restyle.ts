// Style sheets of parts that come later. A network that changes may swallow one, and whatever loads the part a second time
// takes its styles for loaded.

import { delayMs } from "./backoff";

const tries = new WeakMap<HTMLLinkElement, number>();

/** From here on each that did not come is fetched anew; before the page was whole, the page does so itself. */
export function watchStyles(): void {
  const fetchAnew = ({ target }: Event) => {
    if (document.readyState !== "complete" || !(target instanceof HTMLLinkElement)) return;
    if (target.rel !== "stylesheet") return;
    const failed = tries.get(target) ?? 0;
    const anew = target.cloneNode() as HTMLLinkElement;
    tries.set(anew, failed + 1);
    setTimeout(() => target.replaceWith(anew), delayMs(failed));
  };
  addEventListener("error", fetchAnew, true);
}
