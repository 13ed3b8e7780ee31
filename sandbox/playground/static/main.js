// The page: asks for the state again and again, and shows what changed of it.

import { h, order, reconcile, say } from "./dom.js";
import { showDesk } from "./desk.js";
import { showLog } from "./log.js";
import { showPhone } from "./phone.js";
import { watchLinks } from "./tabs.js";

const EVERY = 500; // ms
const EVERY_HIDDEN = 5000;
const customers = document.getElementById("customer");
const adder = document.getElementById("new-customer");
let customer = chosenBefore();
let known = { etag: "", state: null };
let wait = 0;
let isAsking = false;
let isWanted = false;
let isPressed = false; // what is drawn under a mouse, finger or space bar that is down takes the click away
let isLate = false;

function chosenBefore() {
  const [page_id, psid] = location.hash.slice(1).split("/");
  return { page_id: page_id || "0", psid: psid || "0" };
}

async function ask() {
  clearTimeout(wait);
  if (isAsking) return (isWanted = true);
  isAsking = true;
  isWanted = false;
  const asked = customer;
  try {
    const headers = known.etag ? { "If-None-Match": known.etag } : {};
    const answer = await fetch(`/state?page_id=${customer.page_id}&psid=${customer.psid}`, { headers, cache: "no-store" });
    await take(answer, asked);
    document.body.classList.remove("offline");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    document.body.classList.add("offline");
    say("The playground does not answer. Is the demo still running?");
  } finally {
    isAsking = false;
    wait = setTimeout(ask, isWanted ? 0 : document.hidden ? EVERY_HIDDEN : EVERY);
  }
}

async function take(answer, asked) {
  const told = answer.status === 304 ? null : await answer.json();
  if (asked !== customer) return (isWanted = true); // another one was chosen meanwhile
  if (!told) return;
  if (!answer.ok) return say(told.error);
  if (document.body.classList.contains("offline")) say("");
  known = { etag: answer.headers.get("ETag"), state: told };
  show(told);
}

function show(state) {
  if (isPressed) return (isLate = true);
  const one = state.customers.find((other) => other.psid === customer.psid && other.page_id === customer.page_id);
  showCustomers(state);
  if (!one && state.customers.length > 0) return select(state.customers[0]);
  showPhone(state.phone, one ?? customer);
  showDesk(state.desk, one ?? customer);
  showFaults(state);
  showConnector(state.connector);
  showLog(state.log, state.log_lacks);
}

function showCustomers(state) {
  reconcile(customers, state.customers, (one) => `${one.page_id}/${one.psid}`, (one) => h("option", { value: `${one.page_id}/${one.psid}` }, `${one.name} (${one.page})`));
  customers.value = `${customer.page_id}/${customer.psid}`;
  reconcile(adder.elements.page_id, state.pages, (page) => page.id, (page) => h("option", { value: page.id }, page.name));
}

function select(one) {
  customer = { page_id: one.page_id, psid: one.psid };
  history.replaceState(null, "", `#${one.page_id}/${one.psid}`);
  known = { etag: "", state: null };
  ask();
}

function showConnector(connector) {
  const place = document.getElementById("connector");
  const said = healthOf(connector);
  place.className = `health ${said[0]}`;
  if (place.textContent !== said[1]) place.textContent = said[1];
}

function healthOf(connector) {
  if (!connector.runs) return ["bad", "The connector does not answer"];
  const dead = connector.dead ? `${connector.dead} could not be delivered` : "";
  const paused = connector.waiting && connector.paused.length ? `${[...new Set(connector.paused)].join(" and ")} paused` : "";
  const waiting = connector.waiting
    ? `${connector.waiting} ${connector.waiting === 1 ? "conversation waits" : "conversations wait"}${connector.oldest > 1 ? ` for ${connector.oldest} s` : ""}`
    : "nothing waits";
  const level = paused || dead ? "bad" : connector.oldest > 5 ? "slow" : "good";
  return [level, `Connector: ${[waiting, paused, dead].filter(Boolean).join(", ")}`];
}

function showFaults(state) {
  const place = document.querySelector("#faults .switches");
  reconcile(place, state.faults, (one) => one.name, fault);
  const says = document.querySelector(".kill .says");
  if (says.textContent !== state.killed) says.textContent = state.killed;
}

function fault(one) {
  const id = `fault-${one.name}`;
  const turn = async (event) => {
    const on = event.target.checked;
    event.target.disabled = true; // which takes the focus away
    if (!(await order("PUT", `/faults/${one.name}`, { on, ...customer }))) event.target.checked = !on;
    event.target.disabled = false;
    if (document.activeElement === document.body) document.getElementById(id)?.focus();
  };
  return h(
    "div",
    { class: `switch${one.on ? " on" : ""}` },
    h("label", { for: id }, h("input", { type: "checkbox", role: "switch", id, checked: one.on, onchange: turn }), h("span", {}, one.title)),
    h("p", { class: "hint" }, one.hint),
    h("p", { class: "says", role: "status" }, one.says),
  );
}

customers.addEventListener("change", () => {
  const [page_id, psid] = customers.value.split("/");
  select({ page_id, psid });
});
function openAdder(isOpen) {
  adder.hidden = !isOpen;
  document.getElementById("add-customer").setAttribute("aria-expanded", String(isOpen));
  if (isOpen) adder.elements.first_name.focus();
}

document.getElementById("add-customer").addEventListener("click", () => openAdder(adder.hidden));
adder.addEventListener("submit", async (event) => {
  event.preventDefault();
  const wanted = Object.fromEntries(new FormData(adder));
  const made = await order("POST", "/people", wanted);
  if (!made) return;
  adder.reset();
  openAdder(false);
  select({ page_id: wanted.page_id, psid: made.psid });
  document.getElementById("phone-text").focus();
});
document.getElementById("kill").addEventListener("click", async (event) => {
  event.target.disabled = true;
  await order("POST", "/faults/worker");
  event.target.disabled = false;
  if (document.activeElement === document.body) event.target.focus();
});
document.addEventListener("done", () => {
  isWanted = true;
  ask();
});
document.addEventListener("redraw", redraw);

function redraw() {
  if (known.state) show(known.state);
}

function heed(event) {
  isPressed = event.type.startsWith("key") ? event.type === "keydown" && event.key === " " : event.buttons > 0;
  if (isPressed || !isLate) return;
  isLate = false;
  setTimeout(redraw); // the click comes after the release
}

for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "keydown", "keyup"]) addEventListener(name, heed, true);
document.addEventListener("visibilitychange", () => document.hidden || ask());
watchLinks();
ask();
