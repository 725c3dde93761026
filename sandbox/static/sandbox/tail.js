// The live tail: the world's ledger as journeys or as plain lines, with a filter, a pause and the JSON behind each.

import { follow, get } from "./api.js";
import { Journeys, tone, total } from "./journeys.js";
import { $, clock, CHANNELS, glyph, hear, ms, stamp, tell, toast } from "./ui.js";

const MOST_ROWS = 120;
const MOST_LINES = 600;
const MOST_WAITING = 5000;
const HISTORY = 600;
const OPENED = Date.now() / 1000;

export class Tail {
  constructor(nameOf) {
    this.journeys = new Journeys(nameOf);
    this.rows = new Map();
    this.lines = [];
    this.last = 0;
    this.dirty = new Set();
    this.fresh = [];
    this.paused = false;
    this.filter = "";
    $("#filter").addEventListener("input", () => this.refilter());
    $("#pause").addEventListener("click", () => this.pause(!this.paused));
    $("#by-message").addEventListener("click", () => this.show("journeys"));
    $("#all-events").addEventListener("click", () => this.show("lines"));
    $("#detail-close").addEventListener("click", () => this.close());
    $("#copy").addEventListener("click", () => this.copy());
    $("#tail").addEventListener("keydown", (event) => event.key === "Escape" && this.close());
    hear("trace", (id) => this.trace(id));
  }

  /** Follow the ledger from a little before now. A world that was started anew counts from one again. */
  follow(onState) {
    const from = async () => {
      const { lines } = await get("/world/health").catch(() => ({ lines: this.last }));
      if (lines < this.last) this.clear();
      this.last = Math.max(this.last, lines - HISTORY);
      return `/world/ledger/stream?after=${this.last}`;
    };
    follow(from, (line) => this.take(line), onState);
  }

  take(line) {
    this.last = line.n;
    this.fresh.push(line);
    if (this.fresh.length > MOST_WAITING) this.fresh.shift();
    tell("line", line);
    if (this.paused) this.note();
    else this.soon();
  }

  soon() {
    if (this.frame) return;
    // A hidden page draws no frames, and should not: a timer keeps what waits for it short.
    this.frame = document.hidden ? setTimeout(() => this.flush(), 1000) : requestAnimationFrame(() => this.flush());
  }

  flush() {
    this.frame = 0;
    const fresh = this.fresh.splice(0);
    for (const line of fresh) {
      const journey = this.journeys.add(line);
      if (journey) this.dirty.add(journey);
    }
    for (const line of fresh.slice(-MOST_LINES)) this.line(line);
    for (const journey of this.dirty) if (!journey.dropped) this.draw(journey);
    this.dirty.clear();
    this.trim();
    this.note();
  }

  /** Draw or redraw one journey; the newest is on top and stays where it is when it grows. */
  draw(journey) {
    let row = this.rows.get(journey.id);
    if (!row) {
      row = stamp("journey");
      row.journey = journey;
      row.root.classList.toggle("fresh", journey.began > OPENED);
      row.head.addEventListener("click", () => this.detail(`${journey.text || "Event"}`, journey.hops.map(({ line }) => line), row.root));
      this.rows.set(journey.id, row);
      $("#journeys").prepend(row.root);
    }
    row.root.dataset.direction = journey.direction;
    row.time.textContent = clock(journey.began, true);
    if (row.kind !== journey.kind) glyph(row.glyph, (row.kind = journey.kind));
    row.who.textContent = whose(journey);
    row.text.textContent = journey.direction === "news" ? journey.text : journey.text ? `“${journey.text}”` : "";
    const took = total(journey);
    row.total.textContent = took === null ? "" : ms(took);
    row.total.title = took === null ? "" : journey.direction === "in" ? "from the phone to Amazon Connect" : "from the agent to the messenger";
    row.hops.replaceChildren(...journey.hops.map((hop) => this.hop(journey, hop, row)));
    row.root.hidden = !this.fits(journey.search + journey.who.toLowerCase());
  }

  hop(journey, { line, label, tone: colour }, row) {
    const parts = stamp("hop");
    const { status, ms: took } = line.fields;
    parts.root.dataset.tone = colour;
    parts.label.textContent = status !== undefined && !(status >= 200 && status < 300) ? `${label} ${status || "no answer"}` : label;
    const after = (line.at - journey.began) * 1000;
    parts.ms.textContent = journey.hops[0].line === line && took === undefined ? "" : `+${ms(Math.max(0, after))}`;
    parts.button.title = `${line.what}${took === undefined ? "" : `, took ${ms(took)}`}`;
    parts.button.addEventListener("click", () => this.detail(line.what, line, row.root));
    return parts.root;
  }

  line(line) {
    const parts = stamp("line");
    parts.time.textContent = clock(line.at, true);
    parts.what.textContent = line.what;
    parts.summary.textContent = summary(line.fields);
    parts.ms.textContent = line.fields.ms === undefined ? "" : ms(line.fields.ms);
    parts.root.dataset.tone = tone(line.fields);
    parts.search = `${line.what} ${JSON.stringify(line.fields)}`.toLowerCase();
    parts.root.hidden = !this.fits(parts.search);
    parts.button.addEventListener("click", () => this.detail(line.what, line, parts.root));
    this.lines.push(parts);
    $("#lines").prepend(parts.root);
  }

  trim() {
    while (this.lines.length > MOST_LINES) this.lines.shift().root.remove();
    for (const [id, row] of this.rows) {
      if (this.rows.size <= MOST_ROWS) break;
      row.root.remove();
      this.rows.delete(id);
    }
  }

  fits(search) {
    return !this.filter || search.includes(this.filter);
  }

  refilter() {
    this.filter = $("#filter").value.trim().toLowerCase();
    for (const row of this.rows.values()) row.root.hidden = !this.fits(row.journey.search + row.journey.who.toLowerCase());
    for (const parts of this.lines) parts.root.hidden = !this.fits(parts.search);
    this.note();
  }

  show(view) {
    for (const [button, list] of [["by-message", "journeys"], ["all-events", "lines"]]) {
      $(`#${button}`).setAttribute("aria-pressed", String(list === view));
      $(`#${list}`).hidden = list !== view;
    }
    this.note();
  }

  pause(paused) {
    this.paused = paused;
    $("#pause").setAttribute("aria-pressed", String(paused));
    $("#pause").lastElementChild.textContent = paused ? "Go on" : "Pause";
    if (paused) this.note();
    else this.flush();
  }

  note() {
    const rows = $("#journeys").hidden ? this.lines : [...this.rows.values()];
    const shown = rows.filter(({ root }) => !root.hidden).length;
    const empty = $("#tail-empty");
    empty.hidden = shown > 0;
    empty.textContent = rows.length && this.filter ? `Nothing matches “${this.filter}”. Clear the filter to see ${rows.length} again.` : "Every message shows its way here, hop by hop, with its milliseconds.";
    $("#tail-note").textContent = this.paused ? `Paused · ${this.fresh.length} new` : this.filter ? `${shown} of ${rows.length}` : "";
  }

  /** Bring a bubble's journey into view. */
  trace(id) {
    const journey = this.journeys.byId.get(id);
    const row = journey && this.rows.get(journey.id);
    if (!row) return toast("The tail no longer holds this message’s way.");
    document.querySelector('.views [data-view="tail"]').click();
    $("#filter").value = "";
    this.refilter();
    this.show("journeys");
    row.root.scrollIntoView({ block: "nearest" });
    return this.detail(journey.text || "Message", journey.hops.map(({ line }) => line), row.root);
  }

  detail(title, value, root) {
    this.close();
    this.chosen = root;
    root.classList.add("chosen");
    $("#detail").hidden = false;
    $("#detail-title").textContent = title;
    $("#json").textContent = JSON.stringify(value, null, 2);
    $("#json").scrollTop = 0;
  }

  close() {
    this.chosen?.classList.remove("chosen");
    $("#detail").hidden = true;
  }

  async copy() {
    try {
      await navigator.clipboard.writeText($("#json").textContent);
      toast("Copied");
    } catch {
      toast("The browser did not allow copying. Select the text instead.", "bad");
    }
  }

  clear() {
    this.last = 0;
    this.journeys.clear();
    this.rows.clear();
    this.lines = [];
    $("#journeys").replaceChildren();
    $("#lines").replaceChildren();
    this.close();
    this.note();
  }
}

function whose({ direction, role, who, kind }) {
  const name = who || CHANNELS[kind]?.short || "";
  if (direction === "news") return name;
  if (direction === "in") return `${name || "Customer"} →`;
  const author = { AGENT: "Agent", SYSTEM: "Flow", CUSTOM_BOT: "Bot" }[role] ?? "Agent";
  return `${author} → ${name || "customer"}`;
}

function summary(fields) {
  const { status, text, event, type, role, error, content_type: kind } = fields;
  const words = [status >= 200 && status < 300 ? "" : status, event, role, type, kind?.split(".").at(-1), error, text ? `“${text}”` : ""];
  return words.filter((word) => word || word === 0).join(" · ");
}
