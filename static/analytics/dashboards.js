// Keeps a dashboard up to date without taking anything from under pointer or focus.

import { choose, listen, show } from "./charts.js";
import { Live } from "./live.js";

const OLD = 30_000; // after this the page says in amber that it is old
const ANNOUNCE = 30_000; // one polite announcement in this time at most

const dash = document.querySelector(".dash");
const grid = document.querySelector("[data-tiles]");
let freshAt = Date.parse(dash.dataset.fresh) || Date.now();
let version = dash.dataset.version;
let announcedAt = 0;
let failed = false;

document.documentElement.dataset.liveOn = "";
for (const select of document.querySelectorAll("[data-auto]")) {
  select.addEventListener("change", () => {
    const form = select.form;
    const range = new FormData(form, form.querySelector("[data-apply]"));
    const query = new URLSearchParams([...range].filter(([, value]) => value !== ""));
    location.assign(`${form.getAttribute("action")}?${query}`);
  });
}
if (grid) listen(grid);

const live = new Live(async () => {
  if (!grid) return;
  try {
    const answer = await fetch(dash.dataset.live, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (answer.redirected || !answer.ok) throw new Error(String(answer.status));
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    failed = false;
  } catch {
    failed = true;
  }
  tell();
});

function take(parts) {
  const told = parts.querySelector("output");
  freshAt = Date.parse(told.dataset.fresh) || freshAt;
  const changed = told.dataset.version !== version;
  version = told.dataset.version;
  for (const tile of parts.querySelectorAll("[data-tile]")) swap(tile);
  if (changed) announce();
}

function swap(tile) {
  const old = document.getElementById(tile.id);
  if (!old || old.dataset.html === tile.innerHTML) return;
  if (old.querySelector("[data-hold]") && (old.matches(":hover") || old.contains(document.activeElement))) return hold(old, tile);
  replace(old, tile);
}

function replace(old, tile) {
  const next = document.importNode(tile, true);
  next.dataset.html = tile.innerHTML;
  for (const open of old.querySelectorAll("details[open][data-keep]")) {
    const same = next.querySelector(`[data-keep="${open.dataset.keep}"]`);
    if (same) same.open = true;
  }
  const focused = old.contains(document.activeElement) ? place(old, document.activeElement) : null;
  const at = old.querySelector("[data-chart]")?.dataset.at;
  const shows = old.querySelector(".heat")?.dataset.shows;
  old.replaceWith(next);
  if (shows) choose(next, shows);
  if (focused !== null) next.querySelectorAll("a, button, summary, [tabindex]")[focused]?.focus({ preventScroll: true });
  const chart = next.querySelector("[data-chart]");
  if (at && chart) show(chart, Number(at));
}

function place(root, element) {
  return [...root.querySelectorAll("a, button, summary, [tabindex]")].indexOf(element);
}

// A list under pointer or focus stays as it is: a button says how much is new, and shows it.
function hold(old, tile) {
  const known = new Set([...old.querySelectorAll("[data-hold] a")].map((link) => link.getAttribute("href")));
  const fresh = [...tile.querySelectorAll("[data-hold] a")].filter((link) => !known.has(link.getAttribute("href"))).length;
  old.querySelector(".held")?.remove();
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button tight held";
  button.textContent = fresh ? `${fresh} new · Show` : "Changed · Show";
  button.addEventListener("click", () => replace(old, tile));
  old.querySelector(".card-head").after(button);
}

function announce() {
  if (Date.now() - announcedAt < ANNOUNCE) return;
  announcedAt = Date.now();
  const sentiment = document.querySelector("#tile-sentiment .value")?.textContent;
  const waiting = document.querySelector("#tile-waiting .notes")?.textContent;
  const said = [sentiment && `Net sentiment ${sentiment}`, waiting].filter(Boolean).join(", ");
  if (said) document.querySelector("[data-announce]").textContent = said;
}

const state = document.querySelector("[data-live-state]");
const text = document.querySelector("[data-live-text]");
const pause = document.querySelector("[data-pause]");
pause.addEventListener("click", () => {
  live.pause(!live.paused);
  pause.setAttribute("aria-pressed", String(live.paused));
  pause.textContent = live.paused ? "Resume" : "Pause";
  tell();
});

function tell() {
  const age = Math.max(0, Date.now() - freshAt);
  const shown = age < 60_000 ? `${Math.round(age / 1000)} s` : `${Math.round(age / 60_000)} min`;
  const old = age > OLD || failed;
  state.classList.toggle("old", old && !live.paused);
  state.classList.toggle("paused", live.paused);
  text.textContent = live.paused
    ? `Paused, ${shown} old`
    : `Updated ${shown} ago${failed ? ", Parley does not answer" : live.connected ? "" : ", polling"}`;
}
setInterval(tell, 1_000);
tell();
