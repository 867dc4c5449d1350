import { useId, useRef } from "preact/hooks";
import { Icon, type IconName } from "./icon";
import { placeBeside } from "./popover";

export interface Choice {
  label: string;
  icon: IconName;
  isDangerous?: boolean;
  run: () => void;
}

interface MenuProps {
  label: string;
  choices: readonly Choice[];
  icon?: IconName;
  /** A line below the choices. */
  note?: string;
}

/** A button that opens a short list of things to do. */
export function Menu({ label, choices, icon = "more", note = "" }: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const opened = (event: Pick<ToggleEvent, "newState">) => {
    if (event.newState !== "open" || !button.current || !list.current) return;
    placeBeside(button.current, list.current);
    list.current.querySelector("button")?.focus();
  };
  return (
    <>
      <button
        type="button"
        ref={button}
        class="mini menu-button"
        aria-label={label}
        aria-haspopup="menu"
        popovertarget={id}
      >
        <Icon name={icon} />
      </button>
      <div
        id={id}
        ref={list}
        class="menu"
        role="menu"
        aria-label={label}
        popover="auto"
        onToggle={opened}
        onKeyDown={moved}
      >
        {choices.map((choice) => (
          <button
            type="button"
            role="menuitem"
            key={choice.label}
            class={choice.isDangerous ? "dangerous" : ""}
            onClick={() => {
              list.current?.hidePopover();
              choice.run();
            }}
          >
            <Icon name={choice.icon} />
            {choice.label}
          </button>
        ))}
        {note && <small role="presentation">{note}</small>}
      </div>
    </>
  );
}

/** The arrow keys go from choice to choice. */
export function moved(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (!step || !(event.currentTarget instanceof HTMLElement)) return;
  event.preventDefault();
  const choices = [...event.currentTarget.querySelectorAll("button")];
  const at = choices.indexOf(document.activeElement as HTMLButtonElement);
  choices[(at + step + choices.length) % choices.length]?.focus();
}
