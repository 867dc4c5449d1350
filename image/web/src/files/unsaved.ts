// What she has changed and not saved: nothing takes her away from it unasked.

import { signal } from "@preact/signals";
import { askHer } from "../parts/dialog";

/** The file that holds changes which are not saved; "" where there are none. */
export const unsaved = signal("");

/** Whether she may be taken elsewhere. */
export async function leaveEditor(): Promise<boolean> {
  if (!unsaved.value) return true;
  const answer = await askHer({
    title: "Leave without saving?",
    text: `What you changed in “${unsaved.value}” would be lost.`,
    action: "Leave",
    isDangerous: true,
  });
  if (answer === null) return false;
  unsaved.value = "";
  return true;
}

addEventListener("beforeunload", (event) => {
  if (unsaved.value) event.preventDefault();
});
