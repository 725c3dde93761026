// Which buttons fit the chosen rows: sends are retried, webhooks are processed again, and never both at once.

const form = document.getElementById("events");
const said = document.getElementById("chosen");
const hint = said.textContent;

function look() {
  const chosen = [...form.querySelectorAll('input[name="id"]:checked')];
  const ways = new Set(chosen.map((box) => box.dataset.way));
  for (const button of form.querySelectorAll("[data-needs]")) {
    button.disabled = !(ways.size === 1 && ways.has(button.dataset.needs));
  }
  if (!chosen.length) said.textContent = hint;
  else if (ways.size > 1) said.textContent = `${chosen.length} chosen: choose rows of one way.`;
  else said.textContent = `${chosen.length} chosen.`;
}

form.addEventListener("change", look);
look();
