// Knows when the numbers changed: by a socket, and by asking where the socket fails or says nothing.
// Nothing is asked while nobody looks at the page.

const QUIET = 5_000; // between two questions without a socket, and the longest that a lost hint costs
const SLOW = 15_000; // between two questions with one: times pass even if no number changes
const RETRY = [1_000, 2_000, 5_000, 10_000, 30_000];

export class Live {
  #ask;
  #socket = null;
  #tries = 0;
  #timer = 0;
  #asking = false;
  #again = false;
  paused = false;

  constructor(ask) {
    this.#ask = ask;
    document.addEventListener("visibilitychange", () => this.#wake());
    this.#open();
    this.#plan();
  }

  get connected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  pause(paused) {
    this.paused = paused;
    if (!paused) this.look();
  }

  // Ask now; what changes while an answer is on its way is asked for after it.
  async look() {
    if (this.paused || document.hidden) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    try {
      await this.#ask();
    } finally {
      this.#asking = false;
    }
    this.#plan();
    if (this.#again) {
      this.#again = false;
      setTimeout(() => this.look(), 500);
    }
  }

  #plan() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look().then(() => this.#plan()), this.connected ? SLOW : QUIET);
  }

  #wake() {
    if (document.hidden) return;
    this.look();
    if (!this.#socket) this.#open();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/ws/dashboards/`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#tries = 0;
      this.#plan();
    });
    socket.addEventListener("message", () => this.look());
    socket.addEventListener("close", () => {
      this.#socket = null;
      this.#plan();
      setTimeout(() => document.hidden || this.#socket || this.#open(), RETRY[Math.min(this.#tries++, RETRY.length - 1)]);
    });
  }
}
