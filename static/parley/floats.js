// Disclosures that float close on Escape and when one clicks elsewhere, and give the focus back.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const open of document.querySelectorAll("details.float[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.float[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});
