// What stands in the place of a file that is not shown: not yet, or not at all.

import { Refusal } from "../http";
import { Icon } from "../parts/icon";
import { downloadOf } from "./actions";
import type { Entry } from "./entry";

export function Unshown({ entry, why }: { entry: Pick<Entry, "kind" | "path" | "name">; why: string }) {
  return (
    <div class="nothing">
      <Icon name="file" />
      <p>{why}</p>
      {entry.kind === "file" && (
        <a class="button" href={downloadOf(entry)} download>
          <Icon name="download" /> Download
        </a>
      )}
    </div>
  );
}

export const Wait = () => (
  <div class="nothing" aria-busy="true">
    <span class="spinner" aria-hidden="true" />
  </div>
);

export function words(error: unknown): string {
  if (!(error instanceof Refusal)) throw error;
  return error.message;
}
