import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../parts/icon";
import { current, linkTo, place, SECTIONS, type Section, toChat } from "../place";
import { About } from "./about";
import { Access } from "./access";
import { Appearance } from "./appearance";
import { Authentication } from "./authentication";
import { Data } from "./data";
import { General } from "./general";

const VIEWS = {
  general: General,
  appearance: Appearance,
  authentication: Authentication,
  data: Data,
  access: Access,
  about: About,
} as const;

export default function SettingsPage() {
  const section: Section = place.value.page === "settings" ? place.value.section : "general";
  const View = VIEWS[section];
  const title = useRef<HTMLHeadingElement>(null);
  const nav = useRef<HTMLElement>(null);
  useEffect(() => title.current?.focus({ preventScroll: true }), []);
  useEffect(() => {
    const bar = nav.current;
    const chosen = bar?.querySelector<HTMLElement>("[aria-current]");
    if (bar && chosen) bar.scrollLeft = chosen.offsetLeft - bar.offsetLeft - (bar.clientWidth - chosen.offsetWidth) / 2;
  }, [section]);
  return (
    <main class="settings" id="main">
      <div class="settings-page">
        <header>
          <button type="button" class="plain" onClick={() => toChat(current.value)}>
            <Icon name="back" /> Back to chat
          </button>
          <h1 ref={title} tabIndex={-1}>
            Settings
          </h1>
        </header>
        <nav aria-label="Sections of the settings" ref={nav}>
          {(Object.keys(SECTIONS) as Section[]).map((one) => (
            <a
              key={one}
              {...linkTo({ page: "settings", section: one })}
              aria-current={one === section ? "page" : undefined}
            >
              {SECTIONS[one]}
            </a>
          ))}
        </nav>
        <section class="settings-section" aria-labelledby="section-title">
          <h2 id="section-title">{SECTIONS[section]}</h2>
          <View />
        </section>
      </div>
    </main>
  );
}
