// The bar that takes the place of the tools while several files are picked.

import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../parts/icon";
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
          onChange={(event) => selectAll(event.currentTarget.checked)}
        />
        <span role="status">{count ? `${count} selected` : "Select files"}</span>
      </label>
      <span class="grow" />
      <button type="button" class="plain" disabled={!count} onClick={downloadSelected}>
        <Icon name="download" /> <span>Download</span>
      </button>
      <button type="button" class="plain" disabled={!count} onClick={() => void moveSelected()}>
        <Icon name="folder" /> <span>Move …</span>
      </button>
      <button type="button" class="plain" disabled={!count} onClick={() => void removeSelected()}>
        <Icon name="bin" /> <span>Delete</span>
      </button>
      <button type="button" class="mini" aria-label="Select nothing any more" title="Done" onClick={leaveSelection}>
        <Icon name="close" />
      </button>
    </div>
  );
}
