// Brings the page up to date by itself, as long as somebody looks at it.
const EVERY_MS = 30_000;
const main = document.querySelector("main");
let asked = Date.now();

async function refresh() {
  if (document.hidden) return;
  asked = Date.now();
  try {
    const answer = await fetch("/fleet", { headers: { accept: "text/html" } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok) throw new Error(String(answer.status));
    const table = main.querySelector(".scroll");
    const left = table ? table.scrollLeft : 0;
    main.innerHTML = await answer.text();
    const renewed = main.querySelector(".scroll");
    if (renewed) renewed.scrollLeft = left;
    main.classList.remove("old");
  } catch {
    main.classList.add("old");
  }
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", () => {
  if (Date.now() - asked > EVERY_MS / 2) void refresh();
});
