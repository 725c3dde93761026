// Amazon's own chat client holds a conversation with the simulated Amazon Connect.
// Usage: node chat.js http://127.0.0.1:PORT ; prints one line for each step, exits 1 at the first that fails.
"use strict";

globalThis.window = globalThis.self = globalThis;
// Node 21 and later have a navigator of their own that says nothing about being online.
Object.defineProperty(globalThis, "navigator", {
  value: { onLine: true, userAgent: "node" },
  configurable: true,
});
globalThis.WebSocket = require("ws");

const assert = require("node:assert");
const { setTimeout: sleep } = require("node:timers/promises");
require("amazon-connect-chatjs");

const base = process.argv[2];
const PATIENCE = 5000;

async function call(method, path, body, headers = {}) {
  const response = await fetch(base + path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

async function until(what, condition) {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const found = await condition();
    if (found) return found;
    await sleep(20);
  }
  throw new Error(`waited ${PATIENCE} ms in vain: ${what}`);
}

function step(name) {
  console.log(`ok ${name}`);
}

// The agent's side, as a contact control panel does it: accept, then the participant service with its own token.
async function acceptAsAgent(contactId) {
  const { agent_id: agentId } = await call("POST", "/ccp/agents", { name: "Ann" });
  await until("the chat in the queue", async () =>
    (await call("GET", "/ccp/queue")).find((waiting) => waiting.contact_id === contactId));
  const accepted = await call("POST", `/ccp/contacts/${contactId}/accept`, { agent_id: agentId });
  const connection = await call(
    "POST", "/participant/connection", { Type: ["CONNECTION_CREDENTIALS"] },
    { "x-amz-bearer": accepted.participant_token });
  const bearer = { "x-amz-bearer": connection.ConnectionCredentials.ConnectionToken };
  return {
    id: accepted.participant_id,
    send: (text) => call("POST", "/participant/message", { ContentType: "text/plain", Content: text }, bearer),
    event: (name, content) => call(
      "POST", "/participant/event",
      { ContentType: `application/vnd.amazonaws.connect.event.${name}`, Content: content }, bearer),
    transfer: () => call("POST", `/ccp/contacts/${contactId}/transfer`, { agent_id: agentId }),
  };
}

function listen(session) {
  const seen = { messages: [], typing: [], read: [], delivered: [], ended: [], lost: 0, established: 0 };
  session.onMessage((event) => seen.messages.push(event.data));
  session.onTyping((event) => seen.typing.push(event.data));
  session.onReadReceipt((event) => seen.read.push(event.data));
  session.onDeliveredReceipt((event) => seen.delivered.push(event.data));
  session.onEnded((event) => seen.ended.push(event.data));
  session.onConnectionLost(() => { seen.lost += 1; });
  session.onConnectionEstablished(() => { seen.established += 1; });
  seen.text = (content) => seen.messages.filter((item) => item.Content === content);
  return seen;
}

async function main() {
  connect.ChatSession.setGlobalConfig({
    endpoint: base,
    region: "us-east-1",
    loggerConfig: { useDefaultLogger: false },
    features: { messageReceipts: { shouldSendMessageReceipts: true, throttleTime: 50 } },
  });
  const started = await call("PUT", "/contact/chat", {
    InstanceId: "instance", ContactFlowId: "flow", ParticipantDetails: { DisplayName: "Jane" },
  });
  const session = connect.ChatSession.create({
    chatDetails: {
      contactId: started.ContactId,
      participantId: started.ParticipantId,
      participantToken: started.ParticipantToken,
    },
    type: "CUSTOMER",
    disableCSM: true,
  });
  const seen = listen(session);

  await session.connect();
  await until("the connection", () => seen.established > 0);
  step("connect");

  const sent = await session.sendMessage({ contentType: "text/plain", message: "hello" });
  const echo = await until("the echo", () => seen.text("hello")[0]);
  assert.equal(echo.Id, sent.data.Id);
  assert.equal(echo.ParticipantRole, "CUSTOMER");
  step("send and echo");

  const agent = await acceptAsAgent(started.ContactId);
  await agent.send("how can I help?");
  const received = await until("the agent's message", () => seen.text("how can I help?")[0]);
  assert.equal(received.ParticipantRole, "AGENT");
  assert.equal(received.DisplayName, "Ann");
  step("receive");

  await agent.event("typing");
  await until("the agent's typing", () => seen.typing.some((item) => item.ParticipantRole === "AGENT"));
  await session.sendEvent({ contentType: "application/vnd.amazonaws.connect.event.typing" });
  step("typing");

  await agent.event("message.delivered", JSON.stringify({ messageId: sent.data.Id }));
  await agent.event("message.read", JSON.stringify({ messageId: sent.data.Id }));
  const read = await until("the read receipt", () => seen.read[0]);
  assert.equal(read.MessageMetadata.MessageId, sent.data.Id);
  assert.equal(read.MessageMetadata.Receipts[0].RecipientParticipantId, agent.id);
  await session.sendEvent({
    contentType: "application/vnd.amazonaws.connect.event.message.read",
    content: JSON.stringify({ messageId: received.Id }),
  });
  step("receipts");

  const transcript = (await session.getTranscript({ sortOrder: "ASCENDING" })).data;
  assert.deepEqual(
    transcript.Transcript.filter((item) => item.Type === "MESSAGE").map((item) => item.Content),
    ["hello", "how can I help?"]);
  const metadata = transcript.Transcript.find((item) => item.Id === sent.data.Id).MessageMetadata;
  assert.ok(metadata.Receipts[0].ReadTimestamp && metadata.Receipts[0].DeliveredTimestamp);
  step("transcript");

  const file = new File([Buffer.from("a,b\n1,2\n")], "orders.csv", { type: "text/csv" });
  await session.sendAttachment({ attachment: file });
  const attached = await until("the attachment", () => seen.messages.find((item) => item.Type === "ATTACHMENT"));
  assert.equal(attached.Attachments[0].Status, "APPROVED");
  const download = await session.downloadAttachment({ attachmentId: attached.Attachments[0].AttachmentId });
  assert.equal(await download.text(), "a,b\n1,2\n");
  step("attachment");

  const before = seen.established;
  await call("POST", "/world/sockets", { action: "cut", role: "CUSTOMER" });
  await until("the loss of the connection", () => seen.lost > 0);
  await agent.send("are you there?");
  await until("the new connection", () => seen.established > before);
  assert.equal(seen.text("are you there?").length, 0, "what was missed is not replayed");
  const recent = (await session.getTranscript({ maxResults: 5 })).data.Transcript;
  assert.ok(recent.some((item) => item.Content === "are you there?"));
  await agent.send("welcome back");
  await until("a message on the new connection", () => seen.text("welcome back")[0]);
  step("drop and reconnect");

  const moved = await agent.transfer();
  const transferred = await until("the transfer", () =>
    seen.messages.find((item) => item.ContentType.endsWith("transfer.succeeded")));
  assert.notEqual(moved.contact_id, started.ContactId);
  assert.equal(transferred.ContactId, moved.contact_id);
  assert.equal(transferred.InitialContactId, started.ContactId);
  const next = await acceptAsAgent(moved.contact_id);
  await next.send("I am the second agent");
  await until("the second agent", () => seen.text("I am the second agent")[0]);
  step("transfer");

  await session.disconnectParticipant();
  await until("the end", () => seen.ended.length > 0);
  assert.ok(seen.messages.at(-1).ContentType.endsWith("chat.ended"), "chat.ended comes last");
  step("end");
}

main().then(
  () => process.exit(0),
  (error) => { console.error(error); process.exit(1); });
