// Small things that every part of the page uses: elements, times, announcements, menus. Text goes in by textContent only.

export const $ = (selector, root = document) => root.querySelector(selector);

/** News between the parts: "trace" (show a message's way), "line" (a ledger line), "leave", "reset". */
export const bus = new EventTarget();
export const tell = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));
export const hear = (name, handler) => bus.addEventListener(name, (event) => handler(event.detail));

/** Copy the template `t-{name}`; return its element and its parts by their data-part. */
export function stamp(name) {
  const root = $(`#t-${name}`).content.firstElementChild.cloneNode(true);
  const parts = { root };
  for (const node of root.querySelectorAll("[data-part]")) parts[node.dataset.part] = node;
  return parts;
}

/** Make an element; `props` are properties, `children` are nodes or texts. */
export function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}

export function icon(name, className = "icon") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const CHANNELS = {
  twitter: { title: "X direct messages", short: "X" },
  messenger: { title: "Messenger", short: "Messenger" },
  whatsapp: { title: "WhatsApp", short: "WhatsApp" },
};

export function glyph(node, kind) {
  const known = kind in CHANNELS;
  node.dataset.kind = known ? kind : "";
  node.replaceChildren(icon(known ? kind : "agent"));
}

/** Up to two letters for a face. */
export const initials = (name) =>
  name.split(/\s+/).filter(Boolean).slice(0, 2).map((word) => [...word][0].toUpperCase()).join("") || "?";

const two = (number) => String(number).padStart(2, "0");

/** Unix seconds as 14:05, or 14:05:09.123. */
export function clock(at, precise = false) {
  const date = new Date(at * 1000);
  const short = `${two(date.getHours())}:${two(date.getMinutes())}`;
  return precise ? `${short}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}` : short;
}

/** Seconds as 0:07 or 1:02:03. */
export function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole >= 3600 ? `${Math.floor(whole / 3600)}:${rest}` : rest.replace(/^0/, "");
}

/** Milliseconds with as many digits as they deserve. */
export const ms = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);

/** A random v4 UUID, also where the page is not on localhost (crypto.randomUUID needs a secure context there). */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Say something to people who listen rather than look. */
export function announce(text) {
  $("#announcer").textContent = text;
}

/** Show a short notice, which goes by itself; errors stay longer. */
export function toast(text, tone = "plain") {
  const note = el("p", { className: `toast ${tone}` }, text);
  $("#toasts").append(note);
  setTimeout(() => note.remove(), tone === "bad" ? 9000 : 4500);
}

/** Show a number on a badge, or hide it at zero. */
export function badge(node, number) {
  node.hidden = !number;
  node.textContent = number ? String(number) : "";
}

/** Keep a list at its end unless its reader has scrolled up. `change` alters the list. */
export function stick(list, change) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  change();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

/** Let a button open a popover menu beside itself: above it when there is more room there. */
export function attachMenu(button, menu) {
  button.popoverTargetElement = menu;
  button.setAttribute("aria-expanded", "false");
  menu.addEventListener("toggle", (event) => button.setAttribute("aria-expanded", String(event.newState === "open")));
  menu.addEventListener("beforetoggle", (event) => {
    if (event.newState === "open") requestAnimationFrame(() => place(button, menu));
  });
  menu.addEventListener("keydown", (event) => walk(event, menu));
}

function place(button, menu) {
  const anchor = button.getBoundingClientRect();
  const size = menu.getBoundingClientRect();
  const above = anchor.top > innerHeight - anchor.bottom;
  menu.style.left = `${Math.max(8, Math.min(anchor.left, innerWidth - size.width - 8))}px`;
  menu.style.top = above ? "auto" : `${anchor.bottom + 6}px`;
  menu.style.bottom = above ? `${innerHeight - anchor.top + 6}px` : "auto";
  menu.style.maxHeight = `${(above ? anchor.top : innerHeight - anchor.bottom) - 20}px`;
  menu.querySelector("button")?.focus({ preventScroll: true });
}

function walk(event, menu) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const items = [...menu.querySelectorAll("button, summary")].filter((item) => item.checkVisibility());
  const next = (items.indexOf(document.activeElement) + step + items.length) % items.length;
  items[next]?.focus();
  event.preventDefault();
}

/** A text box that grows with its text and sends on Enter; Shift+Enter makes a new line. */
export function composer(form, box, send) {
  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 120)}px`;
  };
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = box.value;
    if (!text.trim()) return;
    box.value = "";
    grow();
    send(text);
  });
}
