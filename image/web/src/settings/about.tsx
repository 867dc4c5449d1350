import { showShortcuts } from "../shortcuts";
import { boot } from "../workspace";
import { Group } from "./controls";

export function About() {
  const { versions, workspace } = boot.value ?? {};
  return (
    <>
      <Group>
        <dl class="facts">
          <Fact name="My Jarvis" value={versions?.app} />
          <Fact name="Claude Code" value={versions?.claude} />
          <Fact name="Claude Agent SDK" value={versions?.sdk} />
          <Fact name="Your files are in" value={workspace} />
        </dl>
      </Group>
      <div class="actions">
        <button type="button" onClick={showShortcuts}>
          Keyboard shortcuts
        </button>
      </div>
      <p class="settings-text">
        My Jarvis is free software under the MIT licence. Claude and Claude Code belong to Anthropic and have terms of
        their own. <a href="/licences.txt">Licences of everything in this page</a>
      </p>
    </>
  );
}

function Fact({ name, value }: { name: string; value: string | undefined }) {
  return (
    <div class="field">
      <dt>{name}</dt>
      <dd>{value || "…"}</dd>
    </div>
  );
}
