const HIDDEN_MS = 100;

/** Before the next picture, or soon where no picture is drawn because the page is hidden. */
export function nextFrame(work: () => void): void {
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    work();
  };
  requestAnimationFrame(once);
  setTimeout(once, HIDDEN_MS);
}
