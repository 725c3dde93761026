// Who holds the phones, and what they can do besides writing text. Numbers are from ranges kept for fiction.

export const PEOPLE = {
  twitter: [
    { id: "1500000000000000101", name: "Noor Haddad", username: "noor_h", locale: "en" },
    { id: "1500000000000000102", name: "Tomás Rey", username: "tomasrey", locale: "es" },
  ],
  messenger: [
    { id: "7100000000000101", name: "Ana Kovač", locale: "hr_HR" },
    { id: "7100000000000102", name: "Ben Okafor", locale: "en_GB" },
  ],
  whatsapp: [
    { id: "447700900142", name: "Lucía Marín", phone: "+447700900142", locale: "es" },
    { id: "12025550163", name: "Jonas Weber", phone: "+12025550163", locale: "de" },
  ],
};

const MORE_NAMES = ["Mei Tanaka", "Ola Nowak", "Sam Rivera", "Ida Lindqvist", "Yusuf Demir", "Grace Mbeki", "Leo Moreau"];

/** Somebody whom nobody knows yet. */
export function stranger(kind, count) {
  const name = MORE_NAMES[count % MORE_NAMES.length];
  const tail = String(Math.floor(Math.random() * 9000) + 1000);
  if (kind === "twitter") return { id: `150000000000000${tail}`, name, username: `${name.split(" ")[0].toLowerCase()}${tail}` };
  if (kind === "messenger") return { id: `710000000000${tail}`, name, locale: "en_US" };
  const phone = `+1202555${String(100 + Number(tail) % 100).padStart(4, "0")}`;
  return { id: phone.slice(1), name, phone, locale: "en" };
}

export const STARTERS = {
  twitter: ["You charged me twice!", "Is the new model in stock?"],
  messenger: ["Can I change my delivery address?", "Does this come in blue?"],
  whatsapp: ["Where is my parcel?", "I would like a refund, please"],
};

/** The head of the menu; `type` must be among the kinds that the messenger can carry. */
export const ACTS = [
  { icon: "image", label: "Photo", type: "image" },
  { icon: "location", label: "Location", type: "location" },
  { icon: "voice", label: "Voice note", type: "voice" },
  { icon: "sticker", label: "Sticker", type: "sticker" },
  { icon: "contact", label: "Contact card", type: "contact" },
  { icon: "burst", label: "Burst of four short lines", type: "text", burst: true },
  { icon: "thrice", label: "Text, delivered three times", type: "text", times: 3 },
  { icon: "forged", label: "Text with a forged signature", type: "text", forge: true },
];

export const BURST = ["Hello?", "it’s about my order", "number 4471", "it never arrived"];

const SAMPLE_TEXT = {
  text: "The same message, three times",
  quick_reply: "Yes, please",
  postback: "Talk to us",
  list_reply: "Second choice",
  reply: "About this one",
  story: "Love this story!",
  edit: "I meant order 4417, not 4471",
  forwarded: "Look what my neighbour wrote",
  echo: "A colleague answers from the messenger’s own app",
  standby: "Anybody there?",
  opt_out: "STOP",
  opt_in: "START",
  link: "https://example.com/blue-kettle",
};

/** What the phone sends for an act; `typed` is what stands in the composer. */
export function content(act, typed) {
  const { type } = act;
  if (type === "image") return { type, data: photo(), mime: "image/jpeg", name: "kettle.jpg", text: typed };
  if (type === "location") return { type, latitude: 41.3851, longitude: 2.1734, name: "Plaça Reial", address: "Barcelona" };
  if (type === "contact") return { type, name: "Marta Soler", phone: "+12025550177" };
  if (act.forge) return { type, text: typed || "I am not who I say I am" };
  const text = typed || SAMPLE_TEXT[type] || "";
  return type === "quick_reply" || type === "postback" ? { type, text, title: text, payload: "SANDBOX" } : { type, text };
}

/** A small picture, painted here: a kettle on a table. Returns base64 of a JPEG. */
function photo() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 216 });
  const paint = canvas.getContext("2d");
  const sky = paint.createLinearGradient(0, 0, 0, 150);
  sky.addColorStop(0, "#f7d9a8");
  sky.addColorStop(1, "#f3a683");
  const shape = (colour, draw) => {
    paint.fillStyle = colour;
    paint.beginPath();
    draw();
    paint.fill();
  };
  shape(sky, () => paint.rect(0, 0, 320, 216));
  shape("#fff3d6", () => paint.arc(242, 62, 26, 0, 7));
  shape("#7d5a50", () => paint.rect(0, 160, 320, 56));
  shape("#2a6f97", () => paint.ellipse(142, 124, 56, 44, 0, 0, 7));
  shape("#2a6f97", () => paint.rect(92, 124, 100, 42));
  shape("#2a6f97", () => { paint.moveTo(184, 130); paint.lineTo(226, 96); paint.lineTo(234, 106); paint.lineTo(190, 158); });
  shape("#14445f", () => paint.ellipse(142, 84, 20, 6, 0, 0, 7));
  paint.lineWidth = 9;
  paint.strokeStyle = "#14445f";
  paint.beginPath();
  paint.arc(142, 92, 52, Math.PI * 1.12, Math.PI * 1.88);
  paint.stroke();
  return canvas.toDataURL("image/jpeg", 0.82).split(",")[1];
}
