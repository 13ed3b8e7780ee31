// The customer's half: Messenger as on a phone.

import { Chosen, encoded, file, h, keepEnd, order, reconcile, time } from "./dom.js";

const REACTIONS = ["❤️", "😆", "😮", "😢", "😠", "👍"];
const STICKERS = { 369239263222822: "Thumbs up", 126361874215276: "Cat", 144885022352431: "Flower", 529233864205649: "Coffee" };
const MENU = { GET_STARTED: "Get started", TRACK_PARCEL: "Track my parcel", TALK_TO_PERSON: "Talk to a person" };
const QUICK = { YES: "Yes, please", NO: "No, thanks" };

const section = document.getElementById("phone");
const find = (selector) => section.querySelector(selector);
const thread = find(".thread");
const text = find("textarea");
const toEnd = keepEnd(thread);
const chosen = new Chosen(find("input[type=file]"), find(".chosen"));
let where = "";
let about = null; // {message, edits}: what is answered or edited
let shownFor = "";

export function showPhone(phone, customer) {
  where = `/phone/${customer.page_id}/${customer.psid}`;
  const isOther = shownFor !== where;
  shownFor = where;
  if (isOther) writeAbout(null);
  find(".face").textContent = phone.page?.[0] ?? "";
  find(".chat-name").textContent = phone.page ?? "No customer yet";
  for (const control of find("form").elements) control.disabled = !phone.page;
  find(".chat-note").textContent = windowOf(phone);
  find(".thread").setAttribute("aria-label", `Messages of ${phone.name} and ${phone.page}`);
  const lastOwn = phone.messages.findLast((message) => message.mine);
  const items = phone.messages.map((message) => ({ ...message, seen: message.mine && message.at <= (phone.seen_at ?? 0), isLast: message === lastOwn }));
  if (phone.typing) items.push({ mid: "typing", isTyping: true });
  reconcile(thread, items, (item) => item.mid, bubble);
  if (isOther) toEnd();
  const last = phone.messages.at(-1);
  find(".quick").hidden = !last || last.mine;
}

function windowOf(phone) {
  if (!phone.page) return "Add one at the top";
  if (!phone.closes_at) return "Nothing was written yet";
  return phone.closes_at < Date.now() ? "May not reply any more: 24 hours are over" : `May reply until ${time(phone.closes_at)}`;
}

function bubble(message) {
  if (message.isTyping) {
    return h("article", { class: "message theirs typing", "aria-label": "The page is typing" }, h("p", { class: "bubble" }, h("i"), h("i"), h("i")));
  }
  const side = message.mine ? "mine" : "theirs";
  if (message.deleted) return h("article", { class: `message ${side}` }, h("p", { class: "bubble gone" }, "You unsent a message"), meta(message));
  const isPlain = message.files.length > 0 && !message.text;
  return h(
    "article",
    { class: `message ${side}` },
    message.answers && h("p", { class: "answers" }, "↩ ", message.answers),
    h("div", { class: `bubble${isPlain ? " plain" : ""}${message.tapped ? " tapped" : ""}` }, message.text && h("p", {}, message.text), message.files.map(file)),
    message.reaction && h("p", { class: "reaction" }, h("span", { class: "hidden" }, "Your reaction: "), message.reaction),
    h("div", { class: "below" }, meta(message), actions(message)),
  );
}

function meta(message) {
  const receipt = message.seen ? "Seen" : "Sent";
  return h(
    "p",
    { class: "meta" },
    message.edited > 0 && "edited · ",
    h("time", { datetime: new Date(message.at).toISOString() }, time(message.at)),
    message.mine && h("span", { class: `ticks${message.seen ? " seen" : ""}` }, h("span", { "aria-hidden": "true" }, message.seen ? " ✓✓" : " ✓"), h("span", { class: message.isLast ? "" : "hidden" }, ` ${receipt}`)),
  );
}

function actions(message) {
  const buttons = message.mine
    ? [message.text && !message.tapped && button("Edit", () => writeAbout(message, true)), button("Unsend", () => order("DELETE", `${where}/messages/${message.mid}`))]
    : [...REACTIONS.map((emoji) => reactWith(message, emoji))];
  const words = message.text || message.files.map((one) => one.name).join(", ");
  return h(
    "details",
    {},
    h("summary", { "aria-label": `Actions for “${words.slice(0, 40)}”` }, "⋯"),
    h("div", { class: "actions" }, buttons, button("Answer", () => writeAbout(message))),
  );
}

function reactWith(message, emoji) {
  const isOn = message.reaction === emoji;
  const react = () => order("POST", `${where}/reactions`, { mid: message.mid, emoji: isOn ? null : emoji });
  return h("button", { type: "button", class: "emoji", "aria-label": `React with ${emoji}`, "aria-pressed": String(isOn), onclick: react }, emoji);
}

function button(label, act) {
  const press = (event) => {
    event.target.closest("details").open = false;
    act();
  };
  return h("button", { type: "button", onclick: press }, label);
}

/** Say below the thread which message the next text answers, or changes. */
function writeAbout(message, edits = false) {
  about = message && { message, edits };
  const place = find(".about");
  place.hidden = !message;
  if (!message) return;
  place.firstElementChild.textContent = `${edits ? "Edit" : "Answer to"}: ${message.text || "a file"}`;
  if (edits) text.value = message.text;
  text.focus();
}

let sending = Promise.resolve(); // one after another, however fast somebody writes

function send() {
  const taken = { where, about, words: text.value.trim() };
  if (!taken.words && chosen.files.length === 0) return text.focus();
  taken.files = chosen.replace([]);
  text.value = "";
  writeAbout(null);
  toEnd();
  sending = sending.then(async () => (await delivered(taken)) || giveBack(taken));
}

/** Send a text and files as Messenger does: each is a message of its own. Return whether all were taken. */
async function delivered({ where, about, words, files }) {
  if (about?.edits) return order("PATCH", `${where}/messages/${about.message.mid}`, { text: words });
  const parts = [...(words ? [{ text: words }] : []), ...(await encoded(files)).map((one) => ({ files: [one] }))];
  if (about) parts[0].reply_to = about.message.mid;
  for (const part of parts) if (!(await order("POST", `${where}/messages`, part))) return false;
  return true;
}

/** Put what was not taken back to where it was written, unless something else is written there by now. */
function giveBack({ about, words, files }) {
  if (text.value || chosen.files.length > 0) return;
  chosen.replace(files);
  if (about) writeAbout(about.message, about.edits);
  text.value = words;
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    find("form").requestSubmit();
  }
});
find(".about button").addEventListener("click", () => {
  if (about?.edits) text.value = "";
  writeAbout(null);
  text.focus();
});
thread.addEventListener("toggle", closeOthers, true);

function closeOthers(event) {
  if (!event.target.open) return;
  for (const other of thread.querySelectorAll("details[open]")) if (other !== event.target) other.open = false;
  event.target.closest(".message").scrollIntoView({ block: "nearest" });
}

for (const opener of section.querySelectorAll("[data-tray]")) opener.addEventListener("click", () => openTray(opener));

function openTray(opener) {
  for (const other of section.querySelectorAll("[data-tray]")) {
    const isOpen = other === opener && other.getAttribute("aria-expanded") === "false";
    other.setAttribute("aria-expanded", String(isOpen));
    document.getElementById(other.dataset.tray).hidden = !isOpen;
  }
}

function inTray(label, act, content = label) {
  const press = () => {
    for (const opener of section.querySelectorAll("[aria-expanded=true]")) openTray(opener);
    text.focus();
    act();
  };
  return h("button", { type: "button", "aria-label": label, onclick: press }, content);
}

find("#menu").append(...Object.entries(MENU).map(([payload, title]) => inTray(title, () => order("POST", `${where}/postbacks`, { title, payload }))));
find("#stickers").append(
  ...Object.entries(STICKERS).map(([id, name]) => inTray(name, () => order("POST", `${where}/messages`, { sticker_id: id }))),
);
find(".quick").append(
  ...Object.entries(QUICK).map(([payload, title]) => inTray(title, () => order("POST", `${where}/messages`, { text: title, quick_reply: payload }))),
);
