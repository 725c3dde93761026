// The stream begins at its end, as chats do, or at the message that the address names.
const stream = document.querySelector("[data-stream]");
if (stream) {
  const wanted = document.getElementById(stream.dataset.target ?? "") ?? document.getElementById(location.hash.slice(1));
  const scrolls = getComputedStyle(stream).overflowY === "auto";
  if (wanted && stream.contains(wanted)) {
    wanted.classList.add("here");
    wanted.scrollIntoView({ block: "center" });
  } else if (scrolls && !new URLSearchParams(location.search).has("after") && !new URLSearchParams(location.search).has("day")) {
    stream.scrollTop = stream.scrollHeight;
  }
}
// Filters apply as they are chosen; typing waits for Enter.
for (const form of document.querySelectorAll(".filters")) {
  form.addEventListener("change", (event) => {
    if (event.target.type !== "search") form.requestSubmit();
  });
}
// The page beside a chat is live: what was said and what came of it appears while somebody looks, and not while they
// look at older days or through a filter.
const RENEW_EVERY = 5000;
async function renew() {
  if (document.hidden || location.search) return;
  try {
    const answer = await fetch(location.pathname, { cache: "no-store", credentials: "omit" });
    if (!answer.ok) return;
    const told = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-stream]");
    if (!told || told.innerHTML === renew.last) return;
    const atEnd = stream.scrollHeight - stream.scrollTop - stream.clientHeight < 40;
    renew.last = told.innerHTML;
    stream.replaceChildren(...document.importNode(told, true).childNodes);
    if (atEnd) stream.scrollTop = stream.scrollHeight;
  } catch {
    // The next look may find Parley again.
  }
}
if (stream && "live" in document.body.dataset) setInterval(renew, RENEW_EVERY);
