// Sets the colours before the first paint: what was chosen last time, else what the system says.
(() => {
  const chosen = localStorage.getItem("parley.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
