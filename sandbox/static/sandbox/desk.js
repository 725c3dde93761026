// The agent's desktop: sign in, the queue, the open chats. It uses the API that a Contact Control Panel would.

import { get, post } from "./api.js";
import { Chat, channelOf } from "./chat.js";
import { $, announce, badge, glyph, hear, span, stamp, toast } from "./ui.js";

// Always the same agent: a page that is reloaded, or opened twice, has the same chats.
const AGENT = { name: "Alex Morgan", agent_id: "alex-morgan" };
const QUEUE_EVERY_MS = 2000;
const HINTS = new Set(["connect.queued", "connect.accepted", "connect.transferred", "connect.ended"]);

export class Desk {
  constructor() {
    this.agent = null;
    this.chats = new Map();
    this.rows = new Map();
    this.selected = null;
    this.acts = 0;
    $("#tabs").addEventListener("keydown", (event) => this.walk(event));
    hear("line", ({ what }) => HINTS.has(what) && this.lookSoon());
    hear("leave", () => this.leave());
    hear("reset", () => this.signIn());
    document.addEventListener("visibilitychange", () => !document.hidden && this.selected?.looked());
    setInterval(() => this.tickTock(), 1000);
    setInterval(() => this.look(), QUEUE_EVERY_MS);
    this.signIn();
  }

  async signIn() {
    try {
      this.agent = await post("/ccp/agents", AGENT);
      $("#agent-name").textContent = this.agent.name;
      await this.look();
    } catch {
      this.status("Not connected", "off");
      setTimeout(() => this.signIn(), 2000);
    }
  }

  status(text, light) {
    $("#agent-status").dataset.light = light;
    $("#agent-status").lastElementChild.textContent = text;
  }

  lookSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.look(), 60);
  }

  /** Ask who waits, and for chats that another tab of this page has accepted. */
  async look() {
    if (!this.agent || document.hidden) return;
    const { acts } = this;
    try {
      const [waiting, mine] = await Promise.all([get("/ccp/queue"), get(`/ccp/contacts?agent=${this.agent.agent_id}`)]);
      if (acts !== this.acts) return; // something was done meanwhile, and this is how it was before
      this.queue(waiting);
      for (const contact of mine) this.open(contact);
      this.status("Available", "on");
    } catch (problem) {
      this.status("Not connected", "off");
      if (problem.status === 404) await this.signIn(); // the world was started anew, and knows no agents
    }
  }

  /** Show who waits; rows stay where they are, so that nobody clicks on the wrong one. */
  queue(waiting) {
    const now = new Set(waiting.map(({ contact_id: id }) => id));
    for (const id of [...this.rows.keys()]) if (!now.has(id)) this.forget(id);
    for (const contact of waiting) if (!this.rows.has(contact.contact_id)) this.wait(contact);
    this.changed();
  }

  forget(contactId) {
    this.rows.get(contactId)?.root.remove();
    this.rows.delete(contactId);
  }

  wait(contact) {
    const row = stamp("waiting");
    const name = contact.display_name || "Customer";
    glyph(row.glyph, channelOf(contact.attributes));
    row.name.textContent = name;
    row.whom.textContent = ` ${name}`;
    row.contact = contact;
    row.accept.addEventListener("click", () => this.accept(contact.contact_id));
    this.rows.set(contact.contact_id, row);
    $("#waiting").append(row.root);
    this.tickTock();
    announce(`${name} is waiting`);
  }

  /** Accept a waiting contact; return its chat, or null when somebody else was faster. */
  async accept(contactId) {
    const row = this.rows.get(contactId);
    if (row) row.accept.disabled = true;
    try {
      const contact = await post(`/ccp/contacts/${encodeURIComponent(contactId)}/accept`, { agent_id: this.agent.agent_id });
      this.acts += 1;
      this.forget(contactId); // at once, so that nobody accepts it twice
      const chat = this.open(contact);
      this.select(chat, { focus: true });
      return chat;
    } catch (problem) {
      toast(problem.message, "bad");
      return null;
    } finally {
      if (row) row.accept.disabled = false;
      await this.look();
    }
  }

  open(contact) {
    const old = this.chats.get(contact.initial_contact_id);
    if (old && !old.ended) return old;
    if (old) this.close(old);
    const chat = new Chat(contact, this);
    this.chats.set(chat.id, chat);
    $("#tabs").append(chat.tab.root);
    $("#panes").append(chat.pane.root);
    if (!this.selected) this.select(chat);
    else chat.pane.root.hidden = true;
    this.changed();
    return chat;
  }

  select(chat, { focus = false } = {}) {
    this.selected = chat;
    for (const other of this.chats.values()) {
      const chosen = other === chat;
      other.pane.root.hidden = !chosen;
      other.tab.root.setAttribute("aria-selected", String(chosen));
      other.tab.root.tabIndex = chosen ? 0 : -1;
    }
    if (!chat) return;
    chat.looked();
    chat.tab.root.scrollIntoView({ block: "nearest", inline: "nearest" });
    chat.pane.transcript.scrollTop = chat.pane.transcript.scrollHeight;
    if (focus) chat.pane.text.focus({ preventScroll: true });
    this.changed();
  }

  /** Transfer or end a chat. */
  async act(chat, verb, queue = "") {
    const path = `/ccp/contacts/${encodeURIComponent(chat.contact.contact_id)}/${verb}`;
    try {
      await post(path, { agent_id: this.agent.agent_id, queue });
    } catch (problem) {
      return toast(problem.message, "bad");
    }
    this.acts += 1;
    if (verb === "transfer") {
      this.close(chat);
      toast(`${chat.name} waits in the queue ${queue} now, under a new contact id.`);
    } else {
      chat.finish();
    }
    return this.look();
  }

  close(chat) {
    const focused = chat.pane.root.contains(document.activeElement);
    chat.client.close();
    chat.tab.root.remove();
    chat.pane.root.remove();
    this.chats.delete(chat.id);
    if (this.selected === chat) this.select([...this.chats.values()].at(-1) ?? null, { focus: focused });
    this.changed();
  }

  changed() {
    const waiting = this.rows.size;
    const unread = [...this.chats.values()].reduce((sum, chat) => sum + chat.unread, 0);
    badge($("#waiting-count"), waiting);
    badge($("#desk-count"), waiting + unread);
    $("#nobody").hidden = waiting > 0;
    $("#no-chats").hidden = this.chats.size > 0;
    $("#no-pane").hidden = Boolean(this.selected);
    $("#no-pane-title").textContent = waiting ? `${waiting === 1 ? "A customer is" : `${waiting} customers are`} waiting` : "Write something on a phone";
    $("#no-pane-text").textContent = waiting ? "Accept the chat, and answer here." : "It comes up under “Waiting” as an Amazon Connect chat. Accept it, and answer here.";
    document.title = waiting + unread ? `(${waiting + unread}) Parley sandbox` : "Parley sandbox";
  }

  tickTock() {
    const now = Date.now() / 1000;
    for (const row of this.rows.values()) row.timer.textContent = `waits ${span(now - Date.parse(row.contact.queued_at) / 1000)}`;
    for (const chat of this.chats.values()) chat.tickTock(now);
  }

  walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...this.chats.values()];
    const place = Math.min(Math.max(all.indexOf(this.selected) + step, 0), all.length - 1);
    this.select(all[place]);
    all[place].tab.root.focus();
  }

  leave() {
    this.agent = null;
    this.acts += 1;
    for (const chat of [...this.chats.values()]) this.close(chat);
    this.queue([]);
  }
}
