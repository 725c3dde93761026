// A scene that plays by itself: three customers write, the agent accepts and answers. It uses the page's own controls.

import { channelOf } from "./chat.js";
import { content } from "./personas.js";
import { $, calm, hear, pause, toast } from "./ui.js";

const LINES = [
  { kind: "whatsapp", says: "Hi! My parcel never arrived. Order 4471.", answer: "I am sorry, Lucía! I have sent you a new one: it leaves today." },
  { kind: "messenger", says: "Is this kettle still under warranty?", photo: true, answer: "It is, for one more year. Shall I book a repair?" },
  { kind: "twitter", says: "You charged me twice!!", answer: "You are right, and the second charge is refunded." },
];
const THANKS = { whatsapp: "Wonderful, thank you!" };
const PATIENCE_MS = 12_000;

let playing = null;

/** Let the button play the scene, and stop it. */
export function scene(phones, desk) {
  const button = $("#scene");
  button.addEventListener("click", () => (playing ? stop() : play(phones, desk)));
  hear("leave", stop);
}

function stop() {
  playing = null;
  dress();
}

function dress() {
  const button = $("#scene");
  button.lastElementChild.textContent = playing ? "Stop" : button.dataset.idle;
  button.querySelector("use").setAttribute("href", playing ? "#i-stop" : "#i-play");
}

async function play(phones, desk) {
  const mine = (playing = Symbol("scene"));
  const going = () => playing === mine;
  dress();
  try {
    for (const line of LINES) {
      if (!going()) return;
      await write(phones[line.kind], line);
      await pause(500);
    }
    for (const line of LINES) {
      if (going()) await serve(phones[line.kind], desk, line, going);
    }
    if (going()) toast("Your turn: write on a phone, or answer as the agent.", "good");
  } catch (problem) {
    toast(problem.message, "bad");
  } finally {
    if (going()) stop();
  }
}

async function write(phone, line) {
  if (!phone.account) throw new Error("The scene needs the three demo accounts. “manage.py sandbox” makes them; wait a moment.");
  phone.choose([...phone.people.keys()][0]);
  if (line.photo) await phone.send(content({ type: "image" }, ""));
  await type(phone.parts.text, line.says);
  phone.parts.form.requestSubmit();
}

async function serve(phone, desk, line, going) {
  const name = phone.current.person.name;
  const chat = await until(() => waitingRow(desk, phone, name) ?? openChat(desk, phone, name), going);
  if (!chat) throw new Error(`${name}’s message did not come up on the agent’s desktop. The tail shows how far it came.`);
  const open = chat.client ? chat : await desk.accept(chat.contact.contact_id);
  if (!open || !going()) return;
  desk.select(open);
  await pause(700);
  await type(open.pane.text, line.answer);
  open.pane.form.requestSubmit();
  await pause(900);
  if (THANKS[phone.kind] && going()) await phone.send({ type: "text", text: THANKS[phone.kind] });
}

// A messenger may tell the agent a name, a handle, or nothing: so the newest chat of that messenger, if none has the name.
const chosen = (list, phone, name) => {
  const here = list.filter(({ contact }) => channelOf(contact.attributes) === phone.kind);
  return here.findLast(({ contact }) => contact.display_name === name) ?? here.at(-1) ?? null;
};
const openChat = (desk, phone, name) => chosen([...desk.chats.values()].filter((chat) => !chat.ended), phone, name);
const waitingRow = (desk, phone, name) => chosen([...desk.rows.values()], phone, name);

async function until(find, going) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && going(); await pause(100)) {
    const found = find();
    if (found) return found;
  }
  return null;
}

async function type(box, text) {
  box.value = "";
  for (const letter of calm() ? [] : text) {
    box.value += letter;
    await pause(14);
  }
  box.value = text;
}
