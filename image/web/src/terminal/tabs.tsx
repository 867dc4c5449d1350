// The shells side by side: chosen, named, ended, opened.

import { askHer } from "../parts/dialog";
import { Icon } from "../parts/icon";
import { endShell, newShell, renameShell, shells, show, shown, titleOf } from "./shells";

export function Tabs() {
  return (
    <div class="tabs">
      {shells.value.map((shell) => {
        const title = titleOf(shell);
        const isShown = shell.id === shown.value;
        return (
          <div key={shell.id} class={`tab ${isShown ? "picked" : ""}`}>
            <button
              type="button"
              aria-pressed={isShown}
              title={`${title} (double click to rename)`}
              onClick={() => show(shell.id)}
              onDblClick={() => void askName(shell.id, title)}
              onKeyDown={(event) => event.key === "F2" && void askName(shell.id, title)}
            >
              <Icon name="terminal" />
              <span dir="auto">{title}</span>
            </button>
            {shells.value.length > 1 && (
              <button
                type="button"
                class="mini"
                aria-label={`End the shell ${title}`}
                onClick={() => void confirmEnd(shell.id)}
              >
                <Icon name="close" />
              </button>
            )}
          </div>
        );
      })}
      <button type="button" class="mini" aria-label="New shell" title="New shell" onClick={() => void newShell()}>
        <Icon name="plus" />
      </button>
    </div>
  );
}

async function askName(id: string, now: string): Promise<void> {
  const name = await askHer({
    title: "Rename this shell",
    text: "Without a name it is called as the program in it says.",
    action: "Rename",
    field: "Name",
    value: now,
  });
  if (name !== null) await renameShell(id, name.trim());
}

async function confirmEnd(id: string): Promise<void> {
  const yes = await askHer({
    title: "End this shell?",
    text: "What runs in it ends too.",
    action: "End it",
    isDangerous: true,
  });
  if (yes !== null) await endShell(id);
}
