import { askHer } from "../parts/dialog";
import type { Held } from "./screen";

/** From the clipboard; where the browser does not give it away, through a field to paste into. */
export async function pasteInto(held: Held): Promise<void> {
  const text = await navigator.clipboard?.readText().catch(() => null);
  const words =
    text ??
    (await askHer({
      title: "Paste",
      text: "Paste here what you want to send to the terminal.",
      action: "Send",
      field: "Text",
    }));
  if (words) await held.value?.paste(words);
  held.value?.focus();
}
