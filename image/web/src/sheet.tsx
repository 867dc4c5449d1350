// The list of keys, over everything else.

import { useEffect, useRef } from "preact/hooks";
import { EVERYWHERE, IN_THE_MESSAGE, type Shortcut, sheetOpen } from "./shortcuts";

export default function Sheet() {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => box.current?.showModal(), []);
  const closed = () => {
    sheetOpen.value = false;
  };
  return (
    <dialog class="dialog sheet" ref={box} aria-labelledby="sheet-title" onClose={closed}>
      <h2 id="sheet-title">Keyboard shortcuts</h2>
      <Keys title="Everywhere" list={EVERYWHERE} />
      <Keys title="In the message" list={IN_THE_MESSAGE} />
      <div class="actions end">
        <button type="button" class="primary" onClick={() => box.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}

function Keys({ title, list }: { title: string; list: readonly Shortcut[] }) {
  return (
    <>
      <h3>{title}</h3>
      <dl>
        {list.map(({ keys, does }) => (
          <div key={does}>
            <dt>{does}</dt>
            <dd dir="ltr">
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}
