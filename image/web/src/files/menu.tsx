import { Menu } from "../parts/menu";
import { copy, download, mention, move, remove, rename } from "./actions";
import { joined, type Entry } from "./entry";
import { pickFolder } from "./picker";

/** All that can be done with one file or folder. */
export function EntryMenu({ entry }: { entry: Entry }) {
  const canBeRead = entry.kind === "file" || entry.kind === "folder";
  return (
    <Menu
      label={`What to do with ${entry.name}`}
      choices={[
        { label: "Use in chat", icon: "send", run: () => mention(entry) },
        { label: "Rename", icon: "pencil", run: () => void rename(entry) },
        { label: "Move …", icon: "folder", run: () => void moved(entry) },
        ...(canBeRead
          ? [
              { label: "Make a copy", icon: "copy" as const, run: () => void copy(entry) },
              { label: "Download", icon: "download" as const, run: () => void download(entry) },
            ]
          : []),
        { label: "Delete", icon: "bin", isDangerous: true, run: () => void remove(entry) },
      ]}
    />
  );
}

async function moved(entry: Entry): Promise<void> {
  const to = await pickFolder([entry]);
  if (to !== null) await move(entry, joined(to, entry.name));
}
