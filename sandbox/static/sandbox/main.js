// Starts the page: phones, desktop, tail, and what holds them together.

import { WORLD } from "./api.js";
import { Desk } from "./desk.js";
import { faults } from "./faults.js";
import { phones } from "./phones.js";
import { scene } from "./scene.js";
import { Tail } from "./tail.js";
import { $ } from "./ui.js";

const LOST_AFTER_MS = 1200;

/** One line across the page while the world does not answer. */
function connection() {
  let lost = 0;
  return (there) => {
    clearTimeout(lost);
    if (there) $("#lost").hidden = true;
    else lost = setTimeout(show, LOST_AFTER_MS);
  };
  function show() {
    $("#lost").hidden = false;
    $("#lost").textContent = `The simulated world does not answer at ${WORLD}. Is “manage.py sandbox” still running? Trying again…`;
  }
}

function views() {
  const buttons = document.querySelectorAll(".views button");
  for (const button of buttons) {
    button.addEventListener("click", () => {
      document.body.dataset.view = button.dataset.view;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
    });
  }
}

/** Light, dark, or as the system: each press is the other one; the choice is remembered. */
function colours() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    const label = dark() ? "Use light colours" : "Use dark colours";
    $("#theme").lastElementChild.textContent = $("#theme").title = label;
  };
  $("#theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    localStorage.setItem("parley.theme", root.dataset.theme);
    name();
  });
  system.addEventListener("change", name);
  name();
}

views();
colours();
faults();
const state = connection();
const all = phones(state);
const nameOf = (kind, id) => all[kind]?.people.get(String(id ?? ""))?.person.name ?? all[kind]?.names?.[id] ?? "";
const tail = new Tail(nameOf);
tail.follow(state);
const desk = new Desk();
scene(all, desk);
