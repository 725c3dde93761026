// A client of the Amazon Connect Participant Service, as an agent's Contact Control Panel has one: a connection for a
// participant token, the chat websocket with its subscription and heartbeats, and a transcript after every gap.

import { post, Refused } from "./api.js";
import { pause, uuid } from "./ui.js";

export const EVENT = "application/vnd.amazonaws.connect.event.";
const HEARTBEAT_MS = 10_000;
const ANSWER_WITHIN_MS = 5_000;
const RENEW_BEFORE_MS = 60_000;
const PAGES = 20;

/** Dispatches "item" (detail: an Item) and "state" (detail: connecting, open, lost or over). */
export class Participant extends EventTarget {
  #token;
  #bearer = "";
  #admit;
  #admitted = new Promise((admit) => (this.#admit = admit));
  #socket = null;
  #heart = 0;
  #doom = 0;
  #renewal = 0;
  #closed = false;

  constructor(participantToken) {
    super();
    this.#token = participantToken;
  }

  /** Connect, and stay connected until close() or until the service says that this chat is over. */
  async open() {
    for (let wait = 500; !this.#closed; wait = Math.min(wait * 2, 8000)) {
      try {
        this.#say("state", "connecting");
        await this.#connect();
        return;
      } catch (problem) {
        if (problem.status === 403) return this.#over();
        this.#say("state", "lost");
        await pause(wait);
      }
    }
  }

  close() {
    this.#closed = true;
    this.#admit();
    this.#quiet();
    this.#socket?.close(1000);
  }

  /** Say something. Asks again with the same client token when throttled or cut off, which says it only once. */
  async send(text) {
    const message = { ClientToken: uuid(), ContentType: "text/plain", Content: text };
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask("/participant/message", message);
      } catch (problem) {
        const again = problem.status === 0 || problem.status === 429 || problem.status >= 500;
        if (!again || attempt === 5) throw problem;
        await pause(250 * 2 ** attempt);
      }
    }
  }

  /** Send typing or a receipt; nobody misses one that is lost. */
  async event(name, content) {
    const body = { ClientToken: uuid(), ContentType: EVENT + name };
    if (content) body.Content = JSON.stringify(content);
    await this.#ask("/participant/event", body).catch(() => {});
  }

  async #connect() {
    const wanted = { Type: ["WEBSOCKET", "CONNECTION_CREDENTIALS"], ConnectParticipant: true };
    const answer = await post("/participant/connection", wanted, { "X-Amz-Bearer": this.#token });
    this.#bearer = answer.ConnectionCredentials.ConnectionToken;
    this.#admit();
    const old = this.#socket;
    const socket = new WebSocket(answer.Websocket.Url);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ topic: "aws/subscribe", content: { topics: ["aws/chat"] } }));
    socket.onmessage = (event) => this.#frame(socket, event.data, old);
    socket.onclose = () => this.#gone(socket);
    this.#renewAt(Date.parse(answer.Websocket.ConnectionExpiry));
  }

  #frame(socket, data, old) {
    const frame = JSON.parse(data);
    if (frame.topic === "aws/subscribe" && frame.content?.status === "success") {
      old?.close(1000); // the new line overlaps the old one, so nothing falls between them
      this.#beat(socket);
      this.#say("state", "open");
      this.#backfill();
    } else if (frame.topic === "aws/heartbeat") {
      clearTimeout(this.#doom);
    } else if (frame.topic === "aws/chat") {
      this.#say("item", JSON.parse(frame.content));
    }
  }

  #beat(socket) {
    clearInterval(this.#heart);
    this.#heart = setInterval(() => {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.send('{"topic":"aws/heartbeat"}');
      clearTimeout(this.#doom);
      this.#doom = setTimeout(() => this.#gone(socket), ANSWER_WITHIN_MS);
    }, HEARTBEAT_MS);
  }

  #renewAt(expiry) {
    clearTimeout(this.#renewal);
    if (!Number.isFinite(expiry)) return;
    this.#renewal = setTimeout(() => this.open(), Math.max(1000, expiry - Date.now() - RENEW_BEFORE_MS));
  }

  #gone(socket) {
    if (this.#closed || socket !== this.#socket) return;
    this.#quiet();
    this.#socket = null;
    socket.close();
    this.#say("state", "lost");
    this.open();
  }

  #over() {
    this.close();
    this.#say("state", "over");
  }

  #quiet() {
    clearInterval(this.#heart);
    clearTimeout(this.#doom);
    clearTimeout(this.#renewal);
  }

  async #backfill() {
    const ask = { MaxResults: 100, ScanDirection: "BACKWARD", SortOrder: "ASCENDING" };
    const pages = [];
    try {
      for (let page = 0; page < PAGES; page += 1) {
        const answer = await this.#ask("/participant/transcript", ask);
        pages.unshift(answer.Transcript);
        if (!answer.NextToken) break;
        ask.NextToken = answer.NextToken;
      }
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
    }
    for (const item of pages.flat()) this.#say("item", item);
  }

  /** People type faster than a busy service admits them: what they say waits for the connection. */
  async #ask(path, body) {
    await this.#admitted;
    return post(path, body, { "X-Amz-Bearer": this.#bearer });
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
