import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

const GAP_PX = 4;
const EDGE_PX = 8;
const BORDERS_PX = 2;

/** What a button and the panel that it opens need to find each other; the browser closes the panel by itself. */
export function usePopover(opened?: () => void) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);
  const onToggle = (event: Pick<ToggleEvent, "newState">) => {
    setOpen(event.newState === "open");
    if (event.newState === "open") opened?.();
  };
  useEffect(() => {
    if (!isOpen || !button.current || !panel.current) return;
    const [near, grows] = [button.current, panel.current];
    const grown = new ResizeObserver(() => placeBeside(near, grows));
    grown.observe(grows);
    return () => grown.disconnect();
  }, [isOpen]);
  return {
    isOpen,
    button,
    panel,
    close: () => panel.current?.hidePopover(),
    ofButton: { ref: button, popovertarget: id, "aria-expanded": isOpen },
    ofPanel: { id, ref: panel, popover: "auto" as const, onToggle },
  };
}

interface PanelProps {
  popover: ReturnType<typeof usePopover>;
  class: string;
  label: string;
  children: ComponentChildren;
}

/** A panel beside its button, made when it is open. */
export function Panel({ popover, class: name, label, children }: PanelProps) {
  const { ref, ...rest } = popover.ofPanel;
  return (
    <div {...rest} ref={ref as RefObject<HTMLDivElement>} class={`panel ${name}`} role="dialog" aria-label={label}>
      {popover.isOpen && children}
    </div>
  );
}

export const placeBeside = (button: HTMLElement, panel: HTMLElement) => placeAt(button.getBoundingClientRect(), panel);

export function placeAt(near: DOMRect, panel: HTMLElement): void {
  const [above, below] = [near.top - GAP_PX - EDGE_PX, innerHeight - near.bottom - GAP_PX - EDGE_PX];
  const width = panel.offsetWidth;
  const whole = panel.scrollHeight + BORDERS_PX;
  const fitsBelow = whole <= below || below >= above;
  const height = Math.min(whole, fitsBelow ? below : above);
  const fitsAfter = near.left + width < innerWidth - EDGE_PX;
  const left = fitsAfter ? near.left : Math.max(EDGE_PX, near.right - width);
  const top = fitsBelow ? near.bottom + GAP_PX : near.top - GAP_PX - height;
  panel.style.setProperty("max-height", `${height}px`);
  panel.style.setProperty("left", `${left}px`);
  panel.style.setProperty("top", `${top}px`);
}
