// The set-up's moving parts: copy buttons, checks one after the other, the test's progress. All of it also works by hand.

const ASK_AGAIN = 1500;

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    const said = document.getElementById("copied");
    try {
      await navigator.clipboard.writeText(source.textContent);
      said.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(source);
      said.textContent = "Selected: press Ctrl+C.";
    }
  });
}

const points = document.getElementById("points");
const run = document.getElementById("run-checks");

async function check(line) {
  line.classList.add("is-busy");
  const body = new URLSearchParams({ name: line.dataset.point });
  const headers = { "X-CSRFToken": points.dataset.token };
  const answer = await fetch(points.dataset.check, { method: "POST", body, headers });
  if (!answer.ok) throw new Error(String(answer.status));
  const piece = document.createElement("template");
  piece.innerHTML = (await answer.text()).trim();
  line.replaceWith(piece.content.firstElementChild);
}

async function checkAll() {
  const said = document.getElementById("checks-said");
  run.disabled = true;
  said.textContent = "Asking …";
  try {
    for (const name of [...points.children].map((line) => line.dataset.point)) {
      await check([...points.children].find((line) => line.dataset.point === name));
    }
    const bad = points.querySelectorAll(".is-bad").length;
    said.textContent = bad ? `${bad} to mend: what to do stands beside it.` : "All is well.";
  } catch (problem) {
    said.textContent = `The checks broke off (${problem.message}). Try again.`;
  }
  run.disabled = false;
}

if (run) {
  run.addEventListener("click", checkAll);
  if (points.querySelector(".is-unseen")) checkAll();
}

const trip = document.getElementById("trip");

async function follow() {
  if (trip.querySelector('[data-complete="yes"]')) return;
  if (!document.hidden) {
    try {
      // POST: once the test is complete, the answer also notes that the account is live.
      const headers = { "X-CSRFToken": trip.dataset.token };
      const answer = await fetch(trip.dataset.status, { method: "POST", headers });
      if (answer.ok) trip.innerHTML = await answer.text();
    } catch {
      // The next look may succeed.
    }
  }
  setTimeout(follow, ASK_AGAIN);
}

if (trip) setTimeout(follow, ASK_AGAIN);
