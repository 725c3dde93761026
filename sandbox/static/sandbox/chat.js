// One chat on the agent's desktop: its tab, its transcript, its reply box.

import { bubble, tick } from "./bubbles.js";
import { EVENT, Participant } from "./participant.js";
import { announce, attachMenu, badge, composer, el, glyph, span, stamp, stick, toast } from "./ui.js";

const TYPING_EVERY_MS = 10_000;
const TYPING_SHOWN_MS = 6_000;
const QUEUES = ["Support", "Billing", "Returns"];
const AUTHORS = { SYSTEM: "Flow", CUSTOM_BOT: "Bot", SUPERVISOR: "Supervisor" };
const EVENTS = {
  "participant.joined": (item) => `${item.DisplayName ?? item.ParticipantRole} joined`,
  "participant.left": (item) => `${item.DisplayName ?? item.ParticipantRole} left`,
  "participant.idle": () => "The customer is idle",
  "transfer.succeeded": () => "Transferred",
  "transfer.failed": () => "The transfer failed",
  "chat.rehydrated": () => "Earlier conversation restored",
  "chat.ended": () => "The chat has ended",
};
const STATES = {
  connecting: "Connecting…",
  lost: "Connection lost. Connecting again; nothing is lost meanwhile.",
  over: "This chat is over.",
  ended: "This chat has ended.",
};

/** The attributes say which messenger it is; their name depends on the routing, so any value that is a kind will do. */
export const channelOf = (attributes) =>
  Object.values(attributes ?? {}).find((value) => ["twitter", "messenger", "whatsapp"].includes(value)) ?? "";

export class Chat {
  /** `contact` is the answer of accept; `desk` has select(chat), act(chat, verb, queue) and close(chat). */
  constructor(contact, desk) {
    Object.assign(this, { contact, desk, unread: 0, ended: false, began: Date.now() / 1000, last: Date.now() / 1000 });
    this.id = contact.initial_contact_id;
    this.seen = new Map();
    this.pending = [];
    this.client = new Participant(contact.participant_token);
    this.tab = stamp("tab");
    this.pane = stamp("pane");
    this.build();
    this.client.addEventListener("item", (event) => this.item(event.detail));
    this.client.addEventListener("state", (event) => this.state(event.detail));
    this.client.open();
  }

  get name() {
    return this.contact.display_name || "Customer";
  }

  build() {
    const { tab, pane, contact, desk } = this;
    const kind = channelOf(contact.attributes);
    glyph(tab.glyph, kind);
    tab.name.textContent = this.name;
    tab.root.id = `tab-${this.id}`;
    pane.root.id = `pane-${this.id}`;
    tab.root.setAttribute("aria-controls", pane.root.id);
    pane.root.setAttribute("aria-labelledby", tab.root.id);
    tab.root.addEventListener("click", () => desk.select(this));
    pane.name.textContent = this.name;
    pane.text.setAttribute("aria-label", `Answer ${this.name}`);
    pane.text.placeholder = `Answer ${this.name.split(" ")[0]}…`;
    pane.transcript.setAttribute("aria-label", `Conversation with ${this.name}`);
    composer(pane.form, pane.text, (text) => this.say(text));
    pane.text.addEventListener("input", () => this.typing());
    pane.end.addEventListener("click", () => (this.ended ? desk.close(this) : desk.act(this, "end")));
    pane.details.addEventListener("click", () => this.details());
    attachMenu(pane.transfer, pane.menu);
    pane.menu.setAttribute("aria-label", "Transfer to a queue");
    pane.menu.append(el("p", { className: "menu-heading" }, "To the queue"), ...QUEUES.map((queue) => this.queueButton(queue)));
    this.about();
  }

  queueButton(queue) {
    const button = el("button", { type: "button", className: "menu-item" }, queue);
    button.addEventListener("click", () => {
      this.pane.menu.hidePopover();
      this.desk.act(this, "transfer", queue);
    });
    return button;
  }

  about() {
    const { contact, pane } = this;
    pane.about.textContent = [contact.queue, `contact ${contact.contact_id.slice(0, 8)}`].filter(Boolean).join(" · ");
    const rows = { contact_id: contact.contact_id, initial_contact_id: this.id, queue: contact.queue, ...contact.attributes };
    pane.attributes.replaceChildren(
      ...Object.entries(rows).map(([key, value]) => el("div", {}, el("dt", {}, key), el("dd", {}, String(value ?? "")))),
    );
  }

  details() {
    const { attributes, details, transcript } = this.pane;
    stick(transcript, () => (attributes.hidden = !attributes.hidden));
    details.setAttribute("aria-expanded", String(!attributes.hidden));
  }

  state(state) {
    if (state === "over") return this.finish("over");
    const shown = state !== "open" && !this.ended;
    this.pane.state.hidden = !shown;
    this.pane.state.textContent = shown ? STATES[state] : "";
    this.pane.state.dataset.state = state;
    this.pane.send.disabled = state === "over";
  }

  /** The chat is over: keep it readable, let the agent close it. */
  finish(why = "ended") {
    if (this.ended) return;
    this.ended = true;
    this.client.close();
    const { pane } = this;
    pane.state.hidden = false;
    pane.state.textContent = STATES[why];
    pane.state.dataset.state = "ended";
    pane.form.hidden = pane.transfer.hidden = pane.typing.hidden = true;
    pane.end.textContent = "Close";
    pane.end.classList.remove("danger");
    this.tab.root.classList.add("ended");
    this.tab.timer.textContent = "ended";
    this.desk.changed();
  }

  /** Show one Item of the chat; the same one twice changes nothing. */
  item(item) {
    const name = item.ContentType?.startsWith(EVENT) ? item.ContentType.slice(EVENT.length) : "";
    if (item.MessageMetadata && item.Type === "MESSAGEMETADATA") return this.receipts(item.MessageMetadata);
    if (name === "typing") return this.typed(item);
    if (!item.Id || this.seen.has(item.Id)) return;
    if (item.Type === "EVENT") this.line(item, name);
    else if (item.Type === "ATTACHMENT") this.message(item, (item.Attachments ?? []).map((file) => `[file: ${file.AttachmentName}]`).join(" "));
    else if (item.Type === "MESSAGE") this.message(item, item.Content ?? "");
    if (name === "chat.ended") this.finish();
  }

  line(item, name) {
    this.seen.set(item.Id, null);
    const text = EVENTS[name]?.(item) ?? name;
    if (!text) return;
    this.put(el("li", { className: "event" }, el("span", {}, text)), item);
  }

  message(item, text) {
    const mine = item.ParticipantId === this.contact.participant_id;
    if (mine && this.adopt(item, text)) return;
    const role = item.ParticipantRole;
    const author = mine || role === "CUSTOMER" ? "" : (AUTHORS[role] ?? item.DisplayName ?? role);
    const parts = bubble({ id: item.Id, side: mine ? "mine" : "theirs", author, at: Date.parse(item.AbsoluteTime) / 1000, status: mine ? "sent" : undefined });
    if (author) parts.root.classList.add("flow");
    parts.content.append(el("span", { className: "text" }, text));
    this.seen.set(item.Id, parts);
    this.put(parts.root, item);
    if (item.MessageMetadata) this.receipts(item.MessageMetadata);
    this.tab.last.textContent = mine ? `You: ${text}` : text;
    if (role === "CUSTOMER") this.heard(item, text);
  }

  /** Place by time: a backfill may bring what is older than what is shown. */
  put(node, item) {
    const list = this.pane.transcript;
    node.dataset.at = item.AbsoluteTime ?? "";
    const later = [...list.children].reverse().find((other) => other.dataset.at && other.dataset.at <= node.dataset.at);
    stick(list, () => (later ? later.after(node) : list.prepend(node)));
  }

  heard(item, text) {
    this.last = Date.now() / 1000;
    this.pane.typing.hidden = true;
    const looking = this.desk.selected === this && !document.hidden;
    if (Date.parse(item.AbsoluteTime) / 1000 > this.began) {
      announce(`${this.name} says: ${text}`);
      if (!looking) badge(this.tab.unread, (this.unread += 1));
    }
    if (looking) this.client.event("message.read", { messageId: item.Id });
    else this.client.event("message.delivered", { messageId: item.Id });
    this.lastHeard = item.Id;
    this.desk.changed();
  }

  looked() {
    if (this.unread && this.lastHeard) this.client.event("message.read", { messageId: this.lastHeard });
    badge(this.tab.unread, (this.unread = 0));
  }

  typed(item) {
    if (item.ParticipantId === this.contact.participant_id) return;
    this.pane.typing.hidden = false;
    this.pane.typing.textContent = `${item.ParticipantRole === "CUSTOMER" ? this.name : "Somebody"} is typing…`;
    clearTimeout(this.typingEnds);
    this.typingEnds = setTimeout(() => (this.pane.typing.hidden = true), TYPING_SHOWN_MS);
  }

  typing() {
    if (Date.now() - (this.typedAt ?? 0) < TYPING_EVERY_MS) return;
    this.typedAt = Date.now();
    this.client.event("typing");
  }

  receipts({ MessageId, Receipts }) {
    const parts = this.seen.get(MessageId);
    for (const receipt of Receipts ?? []) {
      if (!parts?.root.classList.contains("mine") || receipt.RecipientParticipantId === this.contact.participant_id) continue;
      tick(parts, receipt.ReadTimestamp ? "read" : "delivered");
    }
  }

  async say(text) {
    const parts = bubble({ id: "", side: "mine", at: Date.now() / 1000, status: "pending" });
    parts.content.append(el("span", { className: "text" }, text));
    const waiting = { text, parts };
    this.pending.push(waiting);
    stick(this.pane.transcript, () => this.pane.transcript.append(parts.root));
    this.tab.last.textContent = `You: ${text}`;
    this.typedAt = 0;
    try {
      const { Id, AbsoluteTime } = await this.client.send(text);
      this.settle(waiting, Id, AbsoluteTime);
    } catch (problem) {
      this.pending = this.pending.filter((other) => other !== waiting);
      tick(parts, "failed");
      toast(`Not sent to ${this.name}: ${problem.message}`, "bad");
    }
  }

  /** Our own message came back over the websocket, perhaps before the answer to SendMessage. */
  adopt(item, text) {
    const waiting = this.pending.find((other) => other.text === text);
    if (waiting) this.settle(waiting, item.Id, item.AbsoluteTime);
    return Boolean(waiting);
  }

  settle(waiting, id, at) {
    if (!this.pending.includes(waiting)) return;
    this.pending = this.pending.filter((other) => other !== waiting);
    waiting.parts.root.dataset.id = id;
    waiting.parts.root.dataset.at = at;
    this.seen.set(id, waiting.parts);
    tick(waiting.parts, "sent");
  }

  tickTock(now) {
    if (this.ended) return;
    this.tab.timer.textContent = span(now - this.began);
    this.tab.timer.title = `With you for ${span(now - this.began)}; last word ${span(now - this.last)} ago`;
  }
}
