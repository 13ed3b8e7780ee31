// The product's own pages beside the conversation, as soon as the running connector has them.

const EVERY = 30_000; // ms
const list = document.querySelector("[role=tablist]");
const tabs = [...list.querySelectorAll("[role=tab]")];
const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

/** Ask which pages there are, and show a tab for each; a link is good for a while, so it is asked for anew. */
export async function watchLinks() {
  const answer = await fetch("/links").catch(() => null);
  if (answer?.ok) offer(await answer.json());
  setTimeout(watchLinks, EVERY);
}

function offer(links) {
  for (const [name, address] of Object.entries({ tab: links.tab, board: links.board })) {
    const tab = document.getElementById(`tab-${name}`);
    if (!address && tab.getAttribute("aria-selected") === "true") continue; // somebody is at work there
    tab.hidden = !address;
    tab.dataset.address = address ?? "";
  }
}

function open(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    panel(tab).hidden = !isChosen;
  }
  const frame = panel(chosen).querySelector("iframe");
  if (frame) frame.src = chosen.dataset.address;
}

list.addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) open(tab);
});
list.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const there = tabs.filter((tab) => !tab.hidden);
  const next = there[(there.indexOf(document.activeElement) + step + there.length) % there.length];
  next.focus();
  open(next);
});
