// Reads charts out: the pointer and the arrow keys walk their buckets, one line says what each holds.

function buckets(chart) {
  return [...chart.querySelectorAll(".hit")];
}

export function show(chart, at) {
  const all = buckets(chart);
  const hit = all[at];
  chart.dataset.at = hit ? at : "";
  chart.querySelector(".reading").textContent = hit ? hit.dataset.text : "";
  for (const one of all) one.classList.toggle("at", one === hit);
  const cursor = chart.querySelector(".cursor");
  if (!cursor) return;
  if (!hit) return cursor.setAttribute("d", "");
  const x = Number(hit.getAttribute("x")) + Number(hit.getAttribute("width")) / 2;
  cursor.setAttribute("d", `M${x},0V${hit.getAttribute("height")}`);
}

function step(chart, key) {
  const all = buckets(chart);
  const row = Number(chart.dataset.grid ?? 0);
  const now = chart.dataset.at === undefined || chart.dataset.at === "" ? all.length - 1 : Number(chart.dataset.at);
  const fresh = chart.dataset.at === undefined || chart.dataset.at === "";
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row };
  if (key === "Home") return 0;
  if (key === "End") return all.length - 1;
  if (!(key in moves) || (moves[key] === 0 && !fresh)) return null;
  return fresh ? now : Math.max(0, Math.min(all.length - 1, now + moves[key]));
}

// Some buckets lead to the chats behind them.
function follow(hit) {
  if (hit?.dataset.href) location.assign(hit.dataset.href);
}

export function listen(root) {
  root.addEventListener("pointermove", (event) => {
    const hit = event.target.closest?.(".hit");
    const chart = hit?.closest("[data-chart]");
    if (chart) show(chart, buckets(chart).indexOf(hit));
  });
  root.addEventListener("pointerout", (event) => {
    const chart = event.target.closest?.("[data-chart]");
    if (chart && !chart.contains(event.relatedTarget) && document.activeElement !== chart) show(chart, -1);
  });
  root.addEventListener("keydown", (event) => {
    const chart = event.target.closest?.("[data-chart]");
    if (!chart || event.target !== chart) return;
    if (event.key === "Enter") return follow(buckets(chart)[chart.dataset.at]);
    const at = step(chart, event.key);
    if (at === null) return;
    event.preventDefault();
    chart.querySelector(".reading").setAttribute("aria-live", "polite");
    show(chart, at);
  });
  root.addEventListener("focusout", (event) => {
    if (event.target.matches?.("[data-chart]")) show(event.target, -1);
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-heat]");
    if (button) return choose(button.closest(".tile"), button.dataset.heat);
    follow(event.target.closest?.(".hit"));
  });
}

export function choose(tile, shows) {
  tile.querySelector(".heat").dataset.shows = shows;
  for (const one of tile.querySelectorAll("[data-heat]")) one.setAttribute("aria-pressed", String(one.dataset.heat === shows));
}
