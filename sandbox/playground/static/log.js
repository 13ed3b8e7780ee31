// The event log: what went between Meta, the connector and the helpdesk.

import { h, reconcile } from "./dom.js";

const section = document.getElementById("log");
const place = section.querySelector(".entries");
let known = [];
let isOpen = new Set();

export function showLog(entries, lacks) {
  known = entries;
  section.querySelector(".lead").textContent = lacks
    ? `Webhooks and calls of the Graph API. What ${lacks} was asked stands in its own pages: it keeps no journal.`
    : "Each webhook, and each call of the Graph API and of the helpdesk; the newest first.";
  draw();
}

function draw() {
  const wanted = section.querySelector("[name=show]:checked").value;
  const shown = known.filter((one) => wanted === "all" || one.from === wanted || one.to === wanted || (wanted === "failed" && !one.ok));
  reconcile(place, shown, (one) => one.id, entry);
}

function entry(one) {
  const row = [
    h("time", { datetime: new Date(one.at * 1000).toISOString() }, clock(one.at)),
    h("span", { class: "way" }, side(one.from), h("span", { class: "arrow" }, " → "), side(one.to)),
    h("span", { class: "what" }, one.what, h("code", {}, one.call.split("?")[0])),
    h("span", { class: `answer ${one.ok ? "ok" : "failed"}` }, h("span", { class: "hidden" }, "answer "), one.answer, one.fault && h("small", {}, ` ${one.fault}`)),
  ];
  if (!one.detail) return h("div", { class: "entry" }, row);
  const remember = (event) => (event.target.open ? isOpen.add(one.id) : isOpen.delete(one.id));
  return h("details", { class: "entry", open: isOpen.has(one.id), ontoggle: remember }, h("summary", {}, row), h("pre", { tabindex: "0" }, one.detail));
}

function side(name) {
  return h("span", { class: `side ${name.toLowerCase()}` }, name);
}

function clock(at) {
  const moment = new Date(at * 1000);
  return `${moment.toLocaleTimeString("en-GB")}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

section.querySelector("fieldset").addEventListener("change", draw);
