// Messages to the service over NiceGUI's websocket. What must not get lost waits in the tab's storage until it is answered.
"use strict";

const KEPT = "triage_outbox";
const waiting = new Map();

const stored = () => JSON.parse(sessionStorage.getItem(KEPT) ?? "[]");
const store = (messages) => sessionStorage.setItem(KEPT, JSON.stringify(messages));

export class Refusal extends Error {
  constructor(code, problem) {
    super(problem);
    this.code = code;
  }
}

function send(message) {
  return new Promise((resolve, reject) => {
    waiting.set(message.ref, { resolve, reject });
    emitEvent("triage", message);
  });
}

export function ask(name, given) {
  return send({ ref: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, name, given });
}

export function askKept(name, given) {
  const message = { ref: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, name, given };
  store([...stored(), message]);
  return send(message);
}

// Decisions that a lost page left unanswered; one that was done after all is answered with a conflict, which is as good.
export async function resend(answered) {
  for (const message of stored()) {
    try {
      answered(message, await send(message));
    } catch (refusal) {
      if (!["decided", "already_reported"].includes(refusal.code)) throw refusal;
    }
  }
}

window.triageAnswer = (answer) => {
  store(stored().filter((message) => message.ref !== answer.ref));
  const asked = waiting.get(answer.ref);
  waiting.delete(answer.ref);
  if (!asked) return;
  if (answer.ok) asked.resolve(answer.data);
  else if (answer.code === "unauthenticated") location.href = `/console/login?next=${location.pathname}`;
  else asked.reject(new Refusal(answer.code, answer.problem));
};
