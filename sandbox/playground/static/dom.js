// What the page is built with. Whatever people wrote is set as text: no HTML is ever read from data.

/** Return an element with attributes (`onclick` and the like are listeners) and children; null is left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** Make the children of `parent` those that `render` makes of the items, and leave those alone that did not change. */
export function reconcile(parent, items, key, render) {
  const wanted = new Set(items.map((item) => String(key(item))));
  for (const child of [...parent.children]) if (!wanted.has(child.dataset.key)) child.remove();
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const looks = JSON.stringify(item);
    let node = old.get(name);
    if (!node || node.looks !== looks) node = replaced(node, render(item), name, looks);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

const CONTROLS = "a[href], button, input, summary, pre[tabindex]";

/** Return what is shown instead of `node`: what was open there stays open, and what had the focus keeps it. */
function replaced(node, fresh, name, looks) {
  fresh.dataset.key = name;
  fresh.looks = looks;
  if (node) {
    const wereOpen = [...node.querySelectorAll("details")].map((one) => one.open);
    fresh.querySelectorAll("details").forEach((one, index) => (one.open = wereOpen[index] ?? one.open));
    const focused = [...node.querySelectorAll(CONTROLS)].indexOf(document.activeElement);
    node.replaceWith(fresh);
    if (focused >= 0) fresh.querySelectorAll(CONTROLS)[focused]?.focus();
  }
  return fresh;
}

/** Keep the end of a scrolled element in sight, whatever grows in it, for as long as a person does not scroll up. */
export function keepEnd(element) {
  let sticks = true;
  const stick = () => sticks && (element.scrollTop = element.scrollHeight);
  element.addEventListener("scroll", () => (sticks = element.scrollHeight - element.scrollTop - element.clientHeight < 40));
  element.addEventListener("load", stick, true); // pictures, which grow when they are there
  new ResizeObserver(stick).observe(element);
  new MutationObserver(stick).observe(element, { childList: true });
  return () => {
    sticks = true;
    stick();
  };
}

const HOUR = { hour: "2-digit", minute: "2-digit" };
const DAY = { weekday: "short", day: "numeric", month: "short" };

/** Return the time of day, with the day unless it is today. */
export function time(at) {
  const moment = new Date(at);
  const isToday = moment.toDateString() === new Date().toDateString();
  const hour = moment.toLocaleTimeString("en-GB", HOUR);
  return isToday ? hour : `${moment.toLocaleDateString("en-GB", DAY)}, ${hour}`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${Math.round(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Return a picture, a player, or a link that saves the file. */
export function file(one) {
  if (one.kind === "none") return h("p", { class: "file" }, one.name);
  if (one.kind === "image") {
    const image = h("img", { src: one.src, alt: one.name, loading: "lazy", class: one.is_sticker ? "sticker" : "" });
    return one.is_sticker ? image : h("a", { href: one.src, target: "_blank", rel: "noopener" }, image);
  }
  const link = h("a", { class: "file", href: one.src, download: one.name }, one.name, h("small", {}, `${one.type}, ${size(one.size)}`));
  if (one.kind !== "audio" && one.kind !== "video") return link;
  return h("div", { class: "played" }, h(one.kind, { src: one.src, controls: true, preload: "none", "aria-label": one.name }), link);
}

/** Ask the server to do something; what it refuses is shown, in its own words. Return whether it was done. */
export async function order(method, path, body = {}) {
  try {
    const answer = await fetch(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const told = await answer.json();
    say(answer.ok ? "" : told.error);
    document.dispatchEvent(new CustomEvent("done"));
    return answer.ok ? told : null;
  } catch {
    say("The playground does not answer. Is the demo still running?");
    return null;
  }
}

/** Show a sentence until it is closed, or until something works. */
export function say(sentence) {
  const place = document.getElementById("said");
  if (sentence && place.firstElementChild?.textContent === sentence) return;
  place.replaceChildren();
  if (!sentence) return;
  place.append(h("p", {}, sentence), h("button", { type: "button", onclick: () => say("") }, "Close"));
}

/** Files that are chosen for a message or a comment: an input, and the list of what was chosen. */
export class Chosen {
  constructor(input, list) {
    this.files = [];
    this.list = list;
    this.input = input;
    input.addEventListener("change", () => {
      this.files.push(...input.files);
      input.value = "";
      this.show();
    });
    this.show();
  }

  show() {
    this.list.hidden = this.files.length === 0;
    this.list.replaceChildren(...this.files.map((one) => h("li", {}, `${one.name} `, h("small", {}, size(one.size)), this.remover(one))));
  }

  remover(one) {
    const remove = () => {
      this.files = this.files.filter((other) => other !== one);
      this.show();
      this.input.focus();
    };
    return h("button", { type: "button", class: "quiet", "aria-label": `Remove ${one.name}`, onclick: remove }, "×");
  }

  /** Choose these instead, and return what was chosen before. */
  replace(files) {
    const before = this.files;
    this.files = files;
    this.show();
    return before;
  }
}

/** Return files as the server takes them. */
export async function encoded(files) {
  return Promise.all(
    files.map(async (one) => ({
      filename: one.name,
      content_type: one.type || "application/octet-stream",
      base64: await base64(one),
    })),
  );
}

async function base64(one) {
  const bytes = new Uint8Array(await one.arrayBuffer());
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  return btoa(text);
}
