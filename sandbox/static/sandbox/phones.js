// Three customers' phones. They speak to the messengers' side of the simulated world, as phones do.

import { follow, get, phonePath, post } from "./api.js";
import { bubble, fill, tick } from "./bubbles.js";
import { ACTS, BURST, content, PEOPLE, STARTERS, stranger } from "./personas.js";
import { $, announce, attachMenu, badge, CHANNELS, composer, el, glyph, hear, icon, initials, ms, pause, stamp, stick } from "./ui.js";

const MOST_PEOPLE = 6;
const READ_AFTER_MS = 700;
const NOTE_MS = 10_000;
const OPENED = Date.now() / 1000;

class Phone {
  constructor(kind) {
    this.kind = kind;
    this.account = null;
    this.people = new Map();
    this.accepted = new Set();
    this.current = null;
    this.made = 0;
    this.parts = stamp("phone");
    this.build();
    for (const person of PEOPLE[kind]) this.know(person);
    this.choose(PEOPLE[kind][0].id);
  }

  build() {
    const { parts, kind } = this;
    const { title } = CHANNELS[kind];
    parts.root.dataset.kind = kind;
    parts.root.setAttribute("aria-label", `${title}: a customer’s phone`);
    glyph(parts.glyph, kind);
    parts.title.textContent = title;
    parts.company.textContent = "waiting for an account";
    parts.text.setAttribute("aria-label", `Message on ${title}`);
    parts.thread.setAttribute("aria-label", `Messages on ${title}`);
    composer(parts.form, parts.text, (text) => this.send({ type: "text", text }));
    attachMenu(parts.more, parts.menu);
    parts.menu.setAttribute("aria-label", `Send something else on ${title}`);
    const add = el("button", { type: "button", className: "persona add", title: "Someone new" }, icon("plus"), el("span", { className: "hidden" }, "Someone new writes"));
    add.addEventListener("click", () => this.invite());
    parts.add = add;
    parts.personas.append(add);
    for (const text of STARTERS[kind]) {
      const starter = el("button", { type: "button", className: "button small" }, text);
      starter.addEventListener("click", () => this.send({ type: "text", text }));
      parts.starters.append(starter);
    }
    this.show();
  }

  /** Take somebody in and give them a button; return them. */
  know(person) {
    const known = this.people.get(person.id);
    if (known) return known;
    const button = stamp("persona");
    button.face.textContent = initials(person.name);
    button.name.textContent = person.name.split(" ")[0];
    button.root.title = person.username ? `${person.name} · @${person.username}` : `${person.name}${person.phone ? ` · ${person.phone}` : ""}`;
    button.root.addEventListener("click", () => this.choose(person.id));
    this.parts.personas.insertBefore(button.root, this.parts.add);
    const entry = { person, button, bubbles: new Map(), messages: new Map(), unread: 0, reading: false };
    this.people.set(person.id, entry);
    return entry;
  }

  invite() {
    if (this.people.size >= MOST_PEOPLE) return this.note("That is enough people for one phone. Reset sends the new ones home.");
    this.made += 1;
    const person = stranger(this.kind, this.made + this.kind.length);
    this.know(person);
    this.choose(person.id);
    this.parts.text.focus();
  }

  choose(id) {
    this.current = this.people.get(id);
    for (const entry of this.people.values()) {
      const chosen = entry === this.current;
      entry.button.root.setAttribute("aria-pressed", String(chosen));
      if (chosen) this.mark(entry, 0);
    }
    this.parts.thread.replaceChildren(...[...this.current.bubbles.values()].map((parts) => parts.root));
    this.parts.thread.scrollTop = this.parts.thread.scrollHeight;
    this.note("");
    this.show();
    this.readSoon();
  }

  mark(entry, unread) {
    entry.unread = unread;
    entry.button.dot.hidden = !unread;
    entry.button.state.textContent = unread ? `, ${unread} new` : "";
  }

  /** Use this account of the company, or none. */
  connect(account) {
    if (account?.address === this.account?.address) return;
    this.account = account;
    this.parts.company.textContent = account ? `to ${account.name || account.address}` : "waiting for an account";
    this.show();
  }

  show() {
    const { parts, account, current, kind } = this;
    const empty = !current?.bubbles.size;
    parts.thread.hidden = empty;
    parts.empty.hidden = !empty;
    parts.starters.hidden = !account;
    parts.emptyTitle.textContent = account ? "Write something" : "No account yet";
    parts.emptyText.textContent = account
      ? `You are ${current?.person.name ?? "a customer"}. Try one of these:`
      : `The company has no ${CHANNELS[kind].short} account in this world. “manage.py sandbox” makes one; this phone finds it by itself.`;
    for (const control of [parts.text, parts.send, parts.more]) control.disabled = !account;
  }

  /** Say something above the composer; it goes after a while, unless it is trouble. */
  note(text, tone = "plain") {
    const { note, thread } = this.parts;
    stick(thread, () => {
      note.hidden = !text;
      note.textContent = text;
      note.dataset.tone = tone;
    });
    clearTimeout(this.noteEnds);
    if (text && tone !== "bad") this.noteEnds = setTimeout(() => this.note(""), NOTE_MS);
  }

  /** Send content from the chosen person, and say what the webhook answered when that is worth saying. */
  async send(what, { times = 1, forge = false, from = this.current.person } = {}) {
    if (!this.account) return;
    this.note("");
    try {
      const path = phonePath(this.kind, this.account.address, "messages");
      const { deliveries } = await post(path, { from, content: what, times, forge });
      this.report(deliveries, { times, forge });
    } catch (problem) {
      this.note(problem.message, "bad");
    }
  }

  /** The company's webhook took the message: what a phone calls delivered. */
  accept(customerId, id) {
    this.accepted.add(id);
    const parts = this.people.get(customerId)?.bubbles.get(id);
    if (parts?.tick.dataset.status === "sent") tick(parts, "delivered");
  }

  report(deliveries, { times, forge }) {
    const answers = deliveries.map(({ status, ms: took }) => (status ? `${status} in ${ms(took)}` : "no answer")).join(", ");
    const refused = deliveries.find(({ status }) => status < 200 || status > 299);
    if (forge) this.note(refused ? `Forged signature: refused, as it should be (${answers})` : `Forged signature: it was ACCEPTED (${answers})`, refused ? "good" : "bad");
    else if (refused) this.note(refused.status ? `Parley answered ${answers}. The messenger tries again.` : `Parley did not answer: ${refused.body}. The messenger tries again.`, "bad");
    else if (times > 1) this.note(`Delivered ${times} times: ${answers}. It should be there once.`);
  }

  async act(act) {
    this.parts.menu.hidePopover();
    const typed = this.parts.text.value.trim();
    this.parts.text.value = "";
    if (act.burst) {
      for (const text of BURST) {
        await this.send({ type: "text", text });
        await pause(250);
      }
    } else {
      await this.send(content(act, typed), act);
    }
  }

  /** Offer what this messenger can carry: the usual things, then the rarer ones. */
  offer(kinds) {
    const types = new Set(kinds.map(({ type }) => type));
    const usual = ACTS.filter(({ type }) => types.has(type));
    const shown = new Set([...usual.map(({ type }) => type), "raw"]);
    const rare = kinds.filter(({ type }) => !shown.has(type)).map((kind) => ({ ...kind, icon: "more" }));
    const button = (act) => {
      const item = el("button", { type: "button", className: "menu-item" }, icon(act.icon), act.label);
      item.addEventListener("click", () => this.act(act));
      return item;
    };
    const more = el("details", {}, el("summary", {}, `More that ${CHANNELS[this.kind].short} can send`), ...rare.map(button));
    this.parts.menu.replaceChildren(...usual.map(button), ...(rare.length ? [more] : []));
  }

  /** Take in a new or changed message of a thread. */
  receive(customerId, message) {
    const entry = this.people.get(customerId) ?? (this.people.size < MOST_PEOPLE ? this.know({ id: customerId, name: this.names?.[customerId] ?? "Customer" }) : null);
    if (!entry) return;
    const mine = message.direction === "in";
    const known = entry.bubbles.get(message.id);
    const status = this.shown(message);
    const parts = known ?? bubble({ id: message.id, side: mine ? "mine" : "theirs", at: message.at, status });
    entry.messages.set(message.id, message);
    tick(parts, status);
    fill(parts, message, (text, payload) => this.send({ type: "quick_reply", text, title: text, payload }));
    if (known) return;
    entry.bubbles.set(message.id, parts);
    if (entry === this.current) this.append(parts.root);
    if (!mine && message.at > OPENED) this.arrived(entry, message);
  }

  /** What the owner's phone tells of a message: the ladder of their own, of others only a failure. */
  shown({ id, direction, status }) {
    if (direction === "in") return status === "sent" && this.accepted.has(id) ? "delivered" : status;
    return status === "failed" ? status : undefined;
  }

  append(node) {
    this.show();
    stick(this.parts.thread, () => this.parts.thread.append(node));
  }

  arrived(entry, message) {
    announce(`${CHANNELS[this.kind].short}, phone of ${entry.person.name}: ${message.text}`);
    if (entry === this.current) this.readSoon();
    else this.mark(entry, entry.unread + 1);
  }

  /** Whoever looks at a message has read it, a moment later. */
  readSoon() {
    const entry = this.current;
    const unread = [...entry.messages.values()].some(({ direction, status }) => direction === "out" && (status === "sent" || status === "delivered"));
    if (!unread || entry.reading || !this.account || document.hidden) return;
    entry.reading = true;
    setTimeout(async () => {
      await post(phonePath(this.kind, this.account.address, `threads/${encodeURIComponent(entry.person.id)}/read`)).catch(() => {});
      entry.reading = false;
    }, READ_AFTER_MS);
  }

  reset() {
    for (const [id, entry] of this.people) {
      entry.bubbles.clear();
      entry.messages.clear();
      this.mark(entry, 0);
      if (PEOPLE[this.kind].some((person) => person.id === id)) continue;
      entry.button.root.remove();
      this.people.delete(id);
    }
    this.choose(PEOPLE[this.kind][0].id);
  }
}

/** Put the phones on the page; return them by kind. `onState` hears whether the world is there. */
export function phones(onState) {
  const all = Object.fromEntries(Object.keys(CHANNELS).map((kind) => [kind, new Phone(kind)]));
  $("#phones").append(...Object.values(all).map((phone) => phone.parts.root));
  follow(
    () => "/phones/events?after=0", // bubbles have ids, so receiving everything again after a break does no harm
    (change) => {
      const phone = all[change.kind];
      if (phone && (!phone.account || phone.account.address === change.address)) phone.receive(change.customer_id, change.message);
    },
    onState,
  );
  get("/phones/kinds").then((kinds) => Object.values(all).forEach((phone) => phone.offer(kinds[phone.kind] ?? []))).catch(() => {});
  const look = () => findAccounts(all);
  look();
  setInterval(look, 4000);
  document.addEventListener("visibilitychange", () => Object.values(all).forEach((phone) => phone.readSoon()));
  hear("reset", () => Object.values(all).forEach((phone) => phone.reset()));
  hear("line", ({ what, fields }) => {
    const taken = what.startsWith("webhook.") && fields.status >= 200 && fields.status < 300 && !fields.forged;
    if (taken) all[fields.kind]?.accept(fields.customer_id, fields.message_id);
  });
  return all;
}

async function findAccounts(all) {
  if (document.hidden) return;
  const accounts = await get("/phones/accounts").catch(() => null);
  if (!accounts) return;
  for (const phone of Object.values(all)) {
    const own = accounts.filter(({ kind, webhook_url: url }) => kind === phone.kind && url);
    phone.names = Object.fromEntries(own.flatMap(({ customers }) => Object.entries(customers ?? {}).map(([id, { name }]) => [id, name])));
    phone.connect(own.find(({ address }) => address === phone.account?.address) ?? own[0] ?? null);
  }
}
