// A message bubble, on a phone or on the agent's desktop: what it shows for each kind of content, its time, its tick.

import { WORLD } from "./api.js";
import { clock, el, icon, stamp, tell } from "./ui.js";

const KIND_ICONS = { location: "location", voice: "voice", audio: "voice", video: "video", file: "file", sticker: "sticker", contact: "contact" };
const KIND_NAMES = { location: "Location", voice: "Voice note", audio: "Audio", video: "Video", file: "Document", sticker: "Sticker", contact: "Contact card", image: "Photo", unsent: "Message deleted" };
const TICKS = { pending: "being sent", sent: "sent", delivered: "delivered", read: "read", failed: "not delivered" };

/** Make a bubble. `side` is "mine" or "theirs"; `id` is what the tail knows the message by. */
export function bubble({ id, side, author, at, status }) {
  const parts = stamp("bubble");
  parts.root.classList.add(side);
  parts.root.dataset.id = id;
  parts.author.hidden = !author;
  parts.author.textContent = author ?? "";
  parts.time.textContent = clock(at);
  parts.trace.title = "Show this message’s way in the tail";
  parts.trace.addEventListener("click", () => tell("trace", parts.root.dataset.id));
  tick(parts, status);
  return parts;
}

export function tick(parts, status) {
  parts.root.classList.toggle("failed", status === "failed");
  parts.tick.dataset.status = status ?? "";
  parts.tick.title = TICKS[status] ?? "";
  const drawn = status === "read" ? "delivered" : status;
  parts.tick.replaceChildren(...(status ? [icon(drawn, "tick-icon"), el("span", { className: "hidden" }, TICKS[status])] : []));
}

/** Fill the bubble with a phone's message. `choose` answers a tap on one of its choices. */
export function fill(parts, message, choose) {
  const { type } = message;
  const media = message.media ?? [];
  const named = message.text === `[${type}]` || media.some((url) => url.endsWith(`/${message.text}`));
  const text = named ? "" : message.text;
  const nodes = [];
  const picture = media.find((url) => url.startsWith(WORLD));
  if ((type === "image" || type === "gif") && picture) {
    nodes.push(el("img", { src: picture, alt: "Photo", width: 320, height: 216, loading: "lazy" }));
  } else if (type in KIND_ICONS) {
    nodes.push(card(type, text));
  } else if (type !== "text" && !["quick_reply", "reply", "postback"].includes(type)) {
    nodes.push(el("span", { className: "kind" }, KIND_NAMES[type] ?? type.replaceAll("_", " ")));
  }
  if (text && !(type in KIND_ICONS)) nodes.push(el("span", { className: "text" }, text));
  if (message.edits) nodes.push(el("span", { className: "kind" }, "edited"));
  if (message.choices?.length) nodes.push(choices(message.choices, choose));
  parts.content.replaceChildren(...nodes);
}

function card(type, text) {
  const words = el("span", { className: "card-words" }, el("span", { className: "kind" }, KIND_NAMES[type]));
  if (type === "voice" || type === "audio") words.append(icon("wave", "wave"));
  else if (text) words.append(el("span", { className: "text" }, text));
  return el("span", { className: `card ${type}` }, icon(KIND_ICONS[type], "icon large"), words);
}

function choices(list, choose) {
  const buttons = list.map((choice) => {
    const label = choice.title ?? choice.text ?? choice.label ?? "?";
    const button = el("button", { type: "button", className: "button small" }, label);
    button.addEventListener("click", () => choose?.(label, choice.payload ?? choice.id ?? label));
    return button;
  });
  return el("span", { className: "choices" }, ...buttons);
}
