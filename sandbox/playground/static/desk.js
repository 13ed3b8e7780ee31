// The agent's half: a ticket of the helpdesk.

import { Chosen, encoded, file, h, keepEnd, order, reconcile, time } from "./dom.js";

const ELEMENTS = new Set(["p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "table", "thead", "tbody", "tr", "th", "td", "span"]);
const DELIVERY = { sent: "✓ sent", delivered: "✓✓ delivered", read: "✓✓ read", failed: "✕ not delivered" };
const ROLES = { customer: "customer", agent: "agent", system: "connector" };

const section = document.getElementById("desk");
const find = (selector) => section.querySelector(selector);
const picker = find("#ticket");
const comments = find(".comments");
const text = find("textarea");
const reply = find(".reply");
const toEnd = keepEnd(comments);
const chosen = new Chosen(find("input[type=file]"), find(".chosen"));
let shown = null; // the ticket
let picked = ""; // the one that a person chose, by its id; else the newest is shown
let shownFor = "";

export function showDesk(desk, customer) {
  const isOther = shownFor !== customer.psid;
  shownFor = customer.psid;
  if (isOther) picked = "";
  notice(desk);
  section.classList.toggle("stale", desk.tickets === null);
  const isWritable = desk.tickets ? desk.tickets.length > 0 : shown && !isOther; // while the helpdesk is away too
  for (const control of reply.elements) control.disabled = !isWritable;
  if (desk.tickets === null && !isOther) return; // what was seen last stays to be seen
  const tickets = desk.tickets ?? [];
  const before = shown?.id;
  shown = tickets.find((one) => one.id === picked) ?? tickets[0] ?? null;
  reconcile(picker, tickets.map(({ id, title, closed }) => ({ id, title, closed })), (one) => one.id, option);
  picker.disabled = tickets.length === 0;
  picker.value = shown?.id ?? "";
  showTicket(desk, shown);
  if (isOther || before !== shown?.id) toEnd();
}

function notice(desk) {
  const place = find(".notice");
  const none = desk.tickets?.length === 0 ? "There is no ticket yet. The customer's first message opens one." : "";
  const said = desk.error ? `${desk.error} Below is what it showed last.` : none;
  if (place.textContent !== said) place.textContent = said;
  place.hidden = !said;
  place.classList.toggle("bad", Boolean(desk.error));
}

function option({ id, title, closed }) {
  return h("option", { value: id }, `#${id} ${title}${closed ? " (closed)" : ""}`);
}

function showTicket(desk, ticket) {
  const page = find(".own-page");
  page.hidden = !ticket?.url;
  if (ticket?.url) page.href = ticket.url;
  reconcile(find(".ticket-head"), ticket ? [{ ...ticket, comments: null }] : [], (one) => one.id, head);
  reconcile(comments, ticket?.comments ?? [], (one) => one.id, comment);
  find(".log-in").hidden = desk.kind === "sandbox";
  find(".log-in").textContent = `The ticket of a real ${desk.kind}; ${desk.note}`;
  find(".state").textContent = ticket?.closed ? "Reopen ticket" : "Close ticket";
  label(desk.agent);
}

function head(ticket) {
  return h(
    "div",
    {},
    h("h3", {}, ticket.title),
    h(
      "p",
      { class: "facts" },
      h("span", { class: `badge ${ticket.closed ? "closed" : "open"}` }, ticket.closed ? "closed" : "open"),
      ` #${ticket.id} · desk ${ticket.desk} · ${ticket.owner ? `owner ${ticket.owner}` : "no owner"}`,
    ),
  );
}

function comment(one) {
  const role = one.internal ? `${one.role} internal` : one.role;
  return h(
    "article",
    { class: `comment ${role}` },
    h(
      "header",
      {},
      h("span", { class: "face", "aria-hidden": "true" }, (one.who[0] ?? "?").toUpperCase()),
      h("b", {}, one.who),
      h("span", { class: "badge" }, ROLES[one.role] ?? one.role),
      one.internal && h("span", { class: "badge note" }, "internal note"),
      one.at > 0 && h("time", { datetime: new Date(one.at).toISOString() }, time(one.at)),
    ),
    h("div", { class: "body", dir: "auto" }, one.nodes.map((node) => built(node, one.files)), one.rest.map((id) => file(one.files[id]))),
    one.delivery && h("p", { class: `delivery ${one.delivery}` }, [DELIVERY[one.delivery] ?? one.delivery, one.error].filter(Boolean).join(": ")),
  );
}

/** Build what the server made of a comment's text: texts, and `[element, attribute, ...children]`. */
function built(node, files) {
  if (typeof node === "string") return node;
  const [tag, attribute, ...children] = node;
  if (tag === "file") return file(files[attribute]);
  const inside = children.map((child) => built(child, files));
  if (tag === "a") return h("a", { href: attribute, target: "_blank", rel: "noopener noreferrer" }, inside);
  return h(ELEMENTS.has(tag) ? tag : "span", { class: attribute || null }, inside);
}

function label(agent) {
  const isInternal = reply.elements.internal.value === "1";
  reply.classList.toggle("internal", isInternal);
  text.placeholder = isInternal ? "A note that only agents see" : `Reply to the customer as ${agent}`;
  reply.querySelector(".primary").textContent = isInternal ? "Add note" : "Send reply";
}

picker.addEventListener("change", () => {
  picked = picker.value;
  document.dispatchEvent(new CustomEvent("redraw"));
});
reply.addEventListener("change", (event) => {
  if (event.target.name === "internal") document.dispatchEvent(new CustomEvent("redraw"));
});
let sending = Promise.resolve(); // one after another, however fast somebody writes

function send() {
  const taken = { id: shown.id, text: text.value, internal: reply.elements.internal.value === "1" };
  if (!taken.text.trim() && chosen.files.length === 0) return text.focus();
  taken.files = chosen.replace([]);
  text.value = "";
  toEnd();
  sending = sending.then(async () => (await delivered(taken)) || giveBack(taken));
}

async function delivered({ id, files, ...comment }) {
  return order("POST", `/tickets/${id}/comments`, { ...comment, files: await encoded(files) });
}

/** Put what was not taken back to where it was written, unless something else is written there by now. */
function giveBack(taken) {
  if (text.value || chosen.files.length > 0) return;
  text.value = taken.text;
  chosen.replace(taken.files);
}

reply.addEventListener("submit", (event) => {
  event.preventDefault();
  if (shown) send();
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) reply.requestSubmit();
});

find(".state").addEventListener("click", () => order("POST", `/tickets/${shown.id}/${shown.closed ? "reopen" : "close"}`));
