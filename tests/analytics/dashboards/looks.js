// What an eye would complain of: text too faint for what it stands on, targets too small for a finger.
(() => {
  const rgb = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [parts[0] * scale, parts[1] * scale, parts[2] * scale, parts[3] ?? 1];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const seen = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 1;
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !seen(element) || element.closest(".hidden, script, style")) continue;
    const [light, dark] = [luminance(rgb(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.6 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${ratio.toFixed(2)} ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
  const small = [...document.querySelectorAll("a, button, summary, select, input:not([type=hidden])")]
    .filter((one) => seen(one) && !one.closest("p, td, th, .notice, .empty, dd") && !one.matches(".skip"))
    .map((one) => [one.getBoundingClientRect(), one])
    .filter(([box]) => box.height < 24 || box.width < 24)
    .map(([box, one]) => `${Math.round(box.width)}x${Math.round(box.height)} ${one.textContent.trim().slice(0, 30) || one.name}`);
  return { faint, small, wide: document.documentElement.scrollWidth - innerWidth };
})();
