import { Icon, type IconName } from "../parts/icon";
import { Mark } from "../parts/mark";
import { current, toSettings } from "../place";
import { greetedAs, isSignedIn, isSignedOut } from "../workspace";
import { focusComposer } from "./composer";
import { keepDraft } from "./drafts";

/** What a new chat shows above the place to write in. */
export function Welcome() {
  return (
    <div class="column welcome">
      <Mark />
      <h1>{greeting(new Date().getHours(), greetedAs.value)}</h1>
      <p class="lead">{isSignedOut.value ? "One step, and Claude works for you." : "What shall we work on?"}</p>
    </div>
  );
}

export function greeting(hour: number, name: string): string {
  const time = hour >= 5 && hour < 12 ? "Good morning" : hour >= 12 && hour < 18 ? "Good afternoon" : "Good evening";
  return name ? `${time}, ${name}` : time;
}

/** The way to connect, where nothing works without it. */
export function ConnectFirst() {
  return isSignedOut.value ? <Connect /> : null;
}

/** Something to begin with; its place is kept while nobody knows yet whether Claude is connected. */
export function Ideas() {
  if (isSignedOut.value) return null;
  return (
    <div class="column ideas">{isSignedIn.value && IDEAS.map((idea) => <OneIdea key={idea.title} {...idea} />)}</div>
  );
}

function Connect() {
  return (
    <section class="column" aria-label="Connect Claude Code">
      <div class="card connect">
        <span class="connect-sign">
          <Icon name="terminal" />
        </span>
        <div>
          <h2>Connect Claude Code</h2>
          <p>Claude works with your own Anthropic account. You log in once, in about a minute; we show you how.</p>
        </div>
        <button type="button" class="primary" onClick={() => toSettings("authentication")}>
          Connect
        </button>
      </div>
    </section>
  );
}

interface Idea {
  icon: IconName;
  title: string;
  words: string;
}

const IDEAS: readonly Idea[] = [
  { icon: "list", title: "Plan my week", words: "Help me plan my week. Ask me what is on my plate first." },
  { icon: "pencil", title: "Write a difficult e-mail", words: "Help me write a difficult e-mail. It is about " },
  { icon: "file", title: "Show me my files", words: "Look at the files in my workspace and tell me what is there." },
  { icon: "spark", title: "Build a small website", words: "Build me a small website about " },
];

function OneIdea({ icon, title, words }: Idea) {
  const begin = () => {
    keepDraft(current.value, words);
    focusComposer();
  };
  return (
    <button type="button" onClick={begin}>
      <Icon name={icon} />
      {title}
    </button>
  );
}
