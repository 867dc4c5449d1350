// Which Claude answers, and how much it thinks about it: always on the screen, two clicks to change.

import { Icon } from "../parts/icon";
import { Panel, usePopover } from "../parts/popover";
import { Models } from "./models";
import { EFFORTS, loadModels, nameOf, options } from "./options";

export function ModelChoice() {
  const popover = usePopover(() => void loadModels());
  const { model, effort } = options.value;
  const words = effort ? `${nameOf(model)} · ${EFFORTS[effort] ?? effort}` : nameOf(model);
  return (
    <>
      <button
        type="button"
        class="mode model-button"
        aria-label={`Model and effort: ${words}`}
        title="Model and effort"
        {...popover.ofButton}
      >
        <Icon name="spark" />
        <span>{words}</span>
        <Icon name="chevron" />
      </button>
      <Panel popover={popover} class="models" label="Model and effort">
        <Models />
      </Panel>
    </>
  );
}

/** Opens the choice from elsewhere. */
export function openModels(): void {
  document.querySelector<HTMLButtonElement>(".model-button")?.click();
}
