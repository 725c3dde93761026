// The simulated world's HTTP API and its streams of events. Errors come as sentences.

export const WORLD = document.documentElement.dataset.world;

/** A call that was refused, or not answered (status 0). Its message is for people. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const LOST = `The simulated world does not answer at ${WORLD}. Is “manage.py sandbox” still running?`;

async function call(method, path, body, headers = {}) {
  const request = { method, headers: { ...headers } };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers["Content-Type"] = "application/json";
  }
  let answer;
  try {
    answer = await fetch(WORLD + path, request);
  } catch {
    throw new Refused(LOST, 0);
  }
  const text = await answer.text();
  const value = decoded(text);
  if (answer.ok) return value;
  const why = value?.error ?? value?.Message ?? value?.message ?? text.slice(0, 200);
  throw new Refused(`${path.split("?")[0]} was refused (${answer.status}): ${why || "no reason given"}`, answer.status);
}

function decoded(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, headers = {}) => call("POST", path, body, headers);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** Paths of one customer's phone. */
export const phonePath = (kind, address, rest) =>
  `/phones/${encodeURIComponent(kind)}/${encodeURIComponent(address)}/${rest}`;

/** Follow a stream of Server-Sent Events, and come back after every break; `path` says (or promises) where from. */
export function follow(path, onEvent, onState) {
  let source;
  let delay = 500;
  const open = async () => {
    source = new EventSource(WORLD + (await path()));
    source.onopen = () => {
      delay = 500;
      onState(true);
    };
    source.onmessage = (event) => onEvent(JSON.parse(event.data), Number(event.lastEventId));
    source.onerror = () => {
      onState(false);
      source.close();
      setTimeout(open, delay);
      delay = Math.min(delay * 2, 5000);
    };
  };
  open();
}
