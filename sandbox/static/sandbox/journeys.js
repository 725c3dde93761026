// Turns the world's ledger, line by line, into journeys: one message's way, hop by hop. No DOM here.
//
// Most lines name the message (a provider's id, or Connect's item id). Where the product crosses from one world into
// the other no id crosses with it: there a journey is found by its messenger, its customer and its text, oldest first.

const MOST = 400;
const WAITS_S = 180;
const CHAT_HOPS = {
  "participant.CreateParticipantConnection": "connection",
  "ws.open": "websocket",
  "connect.queued": "queued",
};
const NEWS = {
  "connect.accepted": "An agent accepts",
  "connect.transferred": "Transferred to another queue",
  "connect.ended": "The chat ends",
  "world.reset": "Everything was reset",
};
const SENDS = new Set(["x.send", "graph.send", "twilio.send"]);
const FIRST_STATUS_OF_TROUBLE = 300;

const plain = (id) => String(id ?? "").replace(/^\+/, "");
const person = ({ kind, customer_id: id }) => `${kind}/${plain(id)}`;

export class Journeys {
  /** `nameOf(kind, id)` says what a customer is called. */
  constructor(nameOf) {
    this.nameOf = nameOf;
    this.clear();
  }

  clear() {
    this.list = [];
    this.byId = new Map();
    this.chats = new Map();
    this.talking = new Map();
    this.early = new Map();
    this.count = 0;
  }

  /** Take in a ledger line; return the journey that it belongs to, or null for a line that belongs to none. */
  add(line) {
    const { what, fields } = line;
    if (what.startsWith("webhook.")) return this.webhook(line);
    if (SENDS.has(what)) return this.sent(line);
    if (what === "phone.message") return this.hop(this.written(line), line, "written");
    if (what === "phone.received") return this.received(line);
    if (what === "connect.StartChatContact") return this.started(line);
    if (what === "participant.SendMessage") return this.said(line);
    if (what === "participant.SendEvent") return this.receipt(line);
    if (what === "ws.frame") return this.frame(line);
    if (what in CHAT_HOPS) return this.chatHop(line);
    if (what in NEWS) return this.news(line);
    return fields.fault ? this.make(line, { direction: "news", text: what }) : null;
  }

  written({ at, fields }) {
    return this.byId.get(fields.message_id) ?? this.make({ at, fields }, { direction: "in", text: fields.text, customer: person(fields) });
  }

  webhook(line) {
    const { fields } = line;
    const known = this.byId.get(fields.message_id);
    if (fields.event !== "message") return known ? this.hop(known, line, receiptName(fields)) : null;
    const journey = known ?? this.written(line);
    journey.forged ||= Boolean(fields.forged);
    return this.hop(journey, line, deliveryName(line, journey));
  }

  /** A chat begins: find whose it is, and with which message. Its first frame came before this line. */
  started(line) {
    const { fields } = line;
    const { initial_contact_id: id, attributes = {}, display_name: name } = fields;
    const first = this.early.get(id);
    this.early.delete(id);
    const free = (one) => !one.chat && !this.talking.has(one.customer) && (!attributes.channel || one.kind === attributes.channel);
    const journey = this.chats.get(id)?.opening ?? this.waiting("in", free, (one) => one.text === first?.fields.text, (one) => one.who === name);
    if (!journey) return null;
    if (id) this.opened(id, journey);
    if (first) this.frame(first);
    return this.hop(journey, line, "StartChatContact");
  }

  opened(id, journey) {
    const { customer, kind, who } = journey;
    journey.chat = id;
    this.talking.set(customer, id);
    this.chats.set(id, { ...this.chats.get(id), opening: journey, customer, kind, who });
  }

  chatHop(line) {
    const { what, fields } = line;
    const chat = this.chats.get(fields.initial_contact_id);
    const journey = chat?.news ?? chat?.opening;
    if (!journey || (fields.role && fields.role !== "CUSTOMER" && !chat.news) || line.at - journey.began > WAITS_S) return null;
    return this.hop(journey, line, CHAT_HOPS[what]);
  }

  news(line) {
    const chat = this.chats.get(line.fields.initial_contact_id);
    const over = line.what === "connect.ended";
    const journey = this.make(line, { direction: "news", text: NEWS[line.what], chat: line.fields.initial_contact_id });
    if (over) this.talking.delete(chat?.customer);
    if (over) this.chats.delete(line.fields.initial_contact_id);
    else if (chat) chat.news = journey;
    else this.chats.set(line.fields.initial_contact_id, { news: journey, customer: "", kind: "", who: "" });
    return this.hop(journey, line, line.what.split(".").at(-1));
  }

  said(line) {
    const { fields } = line;
    const customer = fields.role === "CUSTOMER";
    const journey = this.byId.get(fields.item_id) ?? (customer ? this.inChat("in", fields, (one) => !one.item) : null);
    return journey ? this.hop(journey, line, fields.repeated ? "SendMessage again" : "SendMessage") : null;
  }

  frame(line) {
    const { fields } = line;
    if (fields.type !== "MESSAGE" && fields.type !== "ATTACHMENT") return null;
    const customer = fields.role === "CUSTOMER";
    if (customer && !this.chats.has(fields.initial_contact_id)) {
      if (this.early.size > MOST) this.early.clear();
      this.early.set(fields.initial_contact_id, line);
      return null;
    }
    let journey = this.byId.get(fields.item_id);
    journey ??= customer ? this.inChat("in", fields, (one) => !one.item) : null;
    journey ??= customer ? null : this.make(line, { direction: "out", role: fields.role, text: fields.text, chat: fields.initial_contact_id });
    if (!journey) return null;
    journey.item ??= fields.item_id;
    this.byId.set(fields.item_id, journey);
    return this.hop(journey, line, fields.sockets ? `${fields.sockets} websocket${fields.sockets > 1 ? "s" : ""}` : "in the transcript");
  }

  sent(line) {
    const { fields } = line;
    if (fields.action) return null;
    const journey = this.byId.get(fields.message_id) ?? this.outgoing(fields);
    if (!journey) return null;
    if (fields.message_id) this.claim(journey, fields.message_id);
    return this.hop(journey, line, line.what);
  }

  received(line) {
    const journey = this.byId.get(line.fields.message_id) ?? this.outgoing(line.fields);
    if (!journey) return null;
    this.claim(journey, line.fields.message_id);
    return this.hop(journey, line, "on the phone");
  }

  /** A long text goes in several parts: the same journey takes them all. */
  outgoing(fields) {
    const text = fields.text ?? "";
    const mine = (one) => one.customer === person(fields) && (one.text === text ? !one.provider : Boolean(text) && one.text?.includes(text));
    return this.waiting("out", mine);
  }

  claim(journey, id) {
    journey.provider ??= id;
    this.byId.set(id, journey);
  }

  receipt(line) {
    const { content_type: kind = "", content } = line.fields;
    if (!content || !kind.includes("message.")) return null;
    const journey = this.byId.get(/"messageId":\s*"([^"]+)"/.exec(content)?.[1]);
    return journey ? this.hop(journey, line, `${kind.split(".").at(-1)} (${line.fields.role === "AGENT" ? "agent" : "customer"})`) : null;
  }

  inChat(direction, fields, fits) {
    const chat = this.chats.get(fields.initial_contact_id);
    const journey = chat?.customer ? this.waiting(direction, (one) => fits(one) && one.customer === chat.customer, (one) => one.text === fields.text) : null;
    if (journey) journey.chat = fields.initial_contact_id;
    return journey;
  }

  /** The oldest recent journey that fits; of several, the one that meets most of the `hints`, the first hint above all. */
  waiting(direction, fits, ...hints) {
    const newest = this.list.at(-1)?.began ?? 0;
    const found = this.list.filter((one) => one.direction === direction && !one.forged && newest - one.began < WAITS_S && fits(one));
    const score = (one) => hints.reduce((sum, hint) => sum * 2 + Number(Boolean(hint(one))), 0);
    return found.reduce((best, one) => (best && score(best) >= score(one) ? best : one), null);
  }

  make({ at, fields }, facts) {
    const chat = this.chats.get(facts.chat);
    const kind = fields.kind ?? chat?.kind ?? "";
    const customer = facts.customer ?? chat?.customer ?? "";
    const who = this.nameOf(kind, fields.customer_id) || chat?.who || fields.display_name || "";
    const journey = { id: (this.count += 1), began: at, kind, customer, who, hops: [], search: "", ...facts };
    this.list.push(journey);
    if (fields.message_id) this.byId.set(fields.message_id, journey);
    if (this.list.length > MOST) this.drop(this.list.shift());
    return journey;
  }

  drop(old) {
    old.dropped = true;
    for (const [id, journey] of this.byId) if (journey === old) this.byId.delete(id);
  }

  hop(journey, line, label) {
    const start = line.at - (line.fields.ms ?? 0) / 1000;
    journey.began = Math.min(journey.began, start);
    journey.hops.push({ line, label, start, tone: tone(line.fields) });
    journey.hops.sort((one, other) => one.start - other.start || one.line.n - other.line.n);
    journey.search += ` ${JSON.stringify(line.fields).toLowerCase()} ${line.what.toLowerCase()}`;
    return journey;
  }
}

/** Milliseconds from the first moment to where the message was for, or null while it is still under way. */
export function total(journey) {
  const goal = journey.hops.find(({ line, tone: colour }) => colour === "good" && (journey.direction === "in" ? line.what === "ws.frame" : SENDS.has(line.what)));
  return goal ? (goal.line.at - journey.began) * 1000 : null;
}

/** Say in a word how an answer went: good, refused on purpose, or bad. */
export function tone({ status, forged, reset, cut, fault }) {
  const trouble = typeof status === "number" && (status === 0 || status >= FIRST_STATUS_OF_TROUBLE);
  if (forged) return trouble ? "warn" : "bad";
  return trouble || reset || cut || fault ? "bad" : "good";
}

function deliveryName({ what, fields }, journey) {
  if (what.endsWith(".given_up")) return "given up";
  if (fields.forged) return "forged webhook";
  if (fields.attempt > 1) return `webhook, try ${fields.attempt}`;
  return journey.hops.some(({ label }) => label === "webhook") ? "webhook again" : "webhook";
}

function receiptName({ event, message_status: status }) {
  return { delivery: "delivered", read: "read", echo: "echo", status: status ?? "status" }[event] ?? event;
}
