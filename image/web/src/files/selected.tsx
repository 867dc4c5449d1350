// The bar that takes the place of the tools while several files are picked.

import { useEffect, useRef } from "preact/hooks";
import { Icon, type IconName } from "../parts/icon";
import {
  areAllSelected,
  downloadSelected,
  leaveSelection,
  moveSelected,
  removeSelected,
  selectAll,
  selected,
} from "./selection";

export function SelectionBar() {
  const all = useRef<HTMLInputElement>(null);
  const count = selected.value.length;
  useEffect(() => all.current?.focus(), []);
  return (
    <div class="selection" role="toolbar" aria-label="What to do with what is selected">
      <label>
        <input
          ref={all}
          type="checkbox"
          aria-label="Select all"
          checked={areAllSelected.value}
          indeterminate={count > 0 && !areAllSelected.value}
          onChange={(event) => selectAll(event.currentTarget.checked)}
        />
        <span role="status">{count ? `${count} selected` : "Select files"}</span>
      </label>
      <span class="grow" />
      <Act label="Download" icon="download" run={downloadSelected} />
      <Act label="Move …" icon="folder" run={() => void moveSelected()} />
      <Act label="Delete" icon="bin" run={() => void removeSelected()} />
      <button type="button" class="mini" aria-label="Select nothing any more" title="Done" onClick={leaveSelection}>
        <Icon name="close" />
      </button>
    </div>
  );
}

/** With its words where there is room for them. */
function Act({ label, icon, run }: { label: string; icon: IconName; run: () => void }) {
  return (
    <button
      type="button"
      class="plain"
      aria-label={label}
      title={label}
      disabled={selected.value.length === 0}
      onClick={run}
    >
      <Icon name={icon} /> <span>{label}</span>
    </button>
  );
}
