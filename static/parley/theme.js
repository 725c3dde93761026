// Sets the colours before the first paint: what was chosen here or in the admin, else what the system says.
// The admin keeps its choice under the same name, as JSON.
(() => {
  const NAMES = ["auto", "light", "dark"];
  const chosen = () => {
    try {
      const name = JSON.parse(localStorage.getItem("adminTheme") ?? '"auto"');
      return NAMES.includes(name) ? name : "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const name = chosen();
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    const button = document.querySelector("[data-theme-button]");
    if (button) button.querySelector("span").textContent = `Colours: ${name}`;
  };
  apply();
  window.addEventListener("storage", apply);
  document.addEventListener("DOMContentLoaded", () => {
    apply();
    document.querySelector("[data-theme-button]")?.addEventListener("click", () => {
      const next = NAMES[(NAMES.indexOf(chosen()) + 1) % NAMES.length];
      localStorage.setItem("adminTheme", JSON.stringify(next));
      apply();
    });
  });
})();
