// "Break something": switches on faults of the simulated world. "Reset" makes it new.

import { get, post, put, remove } from "./api.js";
import { $, attachMenu, badge, el, tell, toast } from "./ui.js";

const FAULTS = [
  ["Amazon Connect", [
    ["Throttle SendMessage", "five calls are answered 429", [{ name: "throttle", target: "SendMessage", times: 5 }]],
    ["Fail SendMessage", "three calls are answered 500", [{ name: "error5xx", target: "SendMessage", times: 3 }]],
    ["Say it, then cut the line", "the next two SendMessage have their effect and no answer", [{ name: "effect_then_reset", target: "SendMessage", times: 2 }]],
    ["Slow Connect", "one second more, ten times", [{ name: "slow", target: "SendMessage", seconds: 1, times: 10 }]],
    ["Refuse new chats for a while", "StartChatContact is throttled five times", [{ name: "throttle", target: "StartChatContact", times: 5 }]],
    ["Expire a token", "the next connection token is refused", [{ name: "expire_token", target: "SendMessage", times: 1 }]],
  ]],
  ["Chat websockets", [
    ["Cut every socket now", "Parley’s and the agent’s; both must come back", { action: "cut" }, "/world/sockets"],
    ["Drop frames", "the next two frames to the customer’s side are lost", [{ name: "frame_drop", target: "CUSTOMER", times: 2 }]],
    ["Double frames", "the next five frames come twice", [{ name: "frame_double", target: "CUSTOMER", times: 5 }]],
    ["Shuffle frames", "the next five frames overtake each other", [{ name: "frame_shuffle", target: "CUSTOMER", times: 5 }]],
  ]],
  ["Messengers", [
    ["Throttle the messengers", "three sends are answered “too many”", [{ name: "throttle", target: "send", times: 3 }]],
    ["Fail the messengers", "three sends are answered with a server error", [{ name: "error5xx", target: "send", times: 3 }]],
    ["Accept, then cut the line", "the next send reaches the phone, its answer does not", [{ name: "effect_then_reset", target: "send", times: 1 }]],
    ["Close the reply window", "the next reply comes too late", [{ name: "window_closed", target: "send", times: 1 }]],
    ["Customer blocks us", "the next reply is refused", [{ name: "blocked", target: "send", times: 1 }]],
  ]],
];

/** Fill the menu and keep its badge; `wipe` is the Reset button. */
export function faults() {
  const menu = $("#faults");
  attachMenu($("#break"), menu);
  for (const [heading, list] of FAULTS) {
    menu.append(el("p", { className: "menu-heading" }, heading), ...list.map((fault) => item(menu, ...fault)));
  }
  const repair = el("button", { type: "button", className: "menu-item repair" }, "Repair everything");
  repair.addEventListener("click", async () => {
    menu.hidePopover();
    await attempt(() => remove("/world/faults"), "All faults are off.");
  });
  menu.append(repair);
  setInterval(() => document.hidden || count(), 3000);
  count();
  $("#reset").addEventListener("click", reset);
}

function item(menu, title, explanation, body, path = "/world/faults") {
  const button = el("button", { type: "button", className: "menu-item" }, el("span", {}, el("strong", {}, title), el("span", { className: "dim" }, explanation)));
  button.addEventListener("click", async () => {
    menu.hidePopover();
    await attempt(() => post(path, body), `Done: ${title}. Now write or answer something, and watch the tail.`);
  });
  return button;
}

async function attempt(work, done) {
  try {
    await work();
    toast(done);
    await count();
  } catch (problem) {
    toast(problem.message, "bad");
  }
}

/** Faults that have used up their times are still listed; only the others count. */
async function count() {
  const on = await get("/world/faults").catch(() => []);
  badge($("#broken"), on.filter(({ times }) => times !== 0).length);
}

async function reset() {
  const button = $("#reset");
  button.disabled = true;
  await attempt(renew, "Reset: the phones, the queue and the faults are as new. Parley keeps its own records.");
  tell("reset");
  button.disabled = false;
}

/** Make the world new, but for the contact flows: they are this sandbox's set-up, not its traffic. */
async function renew() {
  const flows = await get("/world/flows");
  tell("leave"); // whoever is connected goes first: afterwards nobody is known any more
  await post("/world/reset");
  for (const [id, flow] of Object.entries(flows)) await put(`/world/flows/${encodeURIComponent(id)}`, flow);
}
