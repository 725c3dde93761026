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
