// Triage: puts the panes together. The next conversation is fetched ahead, and a decision shows it before the service has answered.
"use strict";
import { ask, askKept, Refusal, resend } from "./triage_wire.js";
import { el, notice, say, setWords, t } from "./triage_dom.js";
import { Queue, showProgress } from "./triage_queue.js";
import { marked, showCard, showFacts, showMarking, showPrevious, showTurns } from "./triage_conversation.js";
import { candidateOf, change, draft, forget, judgement, REASONS, showDecision, showStanding } from "./triage_decision.js";
import { listen, showHelp } from "./triage_keys.js";

const DONE = "triage_done";
const PRESENT = "triage_present"; // what one holds is in no list of the open: a page that is loaded again goes on with it
const HOLD_AFTER = 350; // running through the queue with j and k claims nothing
const RENEW = 4 * 60 * 1000;
const KEPT_VIEWS = 8;

const state = { view: null, claims: new Map(), views: new Map(), aside: new Set(), saving: new Map(), done: JSON.parse(sessionStorage.getItem(DONE) ?? "[]"), focused: null, clean: false };
let queue;
let given;

const problem = (refusal) => notice(refusal instanceof Refusal ? refusal.message : String(refusal), "bad");

function keepDone() {
  sessionStorage.setItem(DONE, JSON.stringify(state.done.slice(-200)));
}

function progress() {
  showProgress(state.done.length, queue.counts?.status.open ?? 0, queue.counts?.limit ?? 0);
}

async function load(cursor, keep = false) {
  try {
    const answer = await ask("queue", { ...queue.wanted, ...(cursor ? { cursor } : {}) });
    answer.items = answer.items.filter((item) => !state.aside.has(item.id));
    queue.show(answer, Boolean(cursor));
    progress();
    if (cursor) return;
    const present = state.view?.candidate;
    if (state.view && (keep || queue.at(present) >= 0)) queue.select(present);
    else if (queue.items.length) await open(queue.items[0].id);
    else finished();
  } catch (refusal) {
    problem(refusal);
  }
}

async function viewOf(id) {
  if (state.views.has(id)) return state.views.get(id);
  const asked = ask("open", { candidate: id });
  state.views.set(id, asked);
  for (const old of [...state.views.keys()].slice(0, -KEPT_VIEWS)) state.views.delete(old);
  try {
    const view = await asked;
    state.views.set(id, view);
    return view;
  } catch (refusal) {
    state.views.delete(id);
    throw refusal;
  }
}

let opening = null;

async function open(id) {
  opening = id;
  const ready = state.views.get(id);
  try {
    const view = ready && !(ready instanceof Promise) ? ready : await viewOf(id);
    if (opening === id) show(view);
  } catch (refusal) {
    problem(refusal);
    if (refusal.code === "not_found") queue.remove(id);
  }
}

function show(view) {
  leave();
  state.view = view;
  sessionStorage.setItem(PRESENT, view.candidate ?? "");
  state.focused = null;
  state.clean = false;
  pressed("clean", false);
  cancelMarking();
  hideCard();
  queue.select(view.candidate);
  showFacts(view);
  showTurns(view, view.turns);
  showPrevious(view, openConversation);
  decision();
  say(`${candidateOf(view)?.title ?? ""} ${view.conversation_id}`);
  ahead(view.candidate);
  clearTimeout(state.holding);
  state.holding = setTimeout(() => hold(view), HOLD_AFTER);
}

function ahead(id) {
  const next = queue.beside(id, 1);
  if (next) viewOf(next.id).catch(() => {});
}

async function hold(view) {
  const candidate = candidateOf(view);
  if (!candidate || !["open", "claimed"].includes(candidate.status)) return;
  try {
    const held = await ask("claim", { candidate: candidate.id });
    state.claims.set(candidate.id, held);
  } catch (refusal) {
    state.claims.set(candidate.id, { problem: refusal.message });
  }
  if (state.view === view) showStanding(view, state.claims.get(candidate.id));
}

// What one leaves undecided is free for others again.
function leave() {
  const id = state.view?.candidate;
  clearTimeout(state.holding);
  if (!id || !state.claims.get(id)?.until) return;
  state.claims.delete(id);
  ask("release", { candidate: id }).catch(() => {});
}

function finished() {
  leave();
  state.view = null;
  opening = null;
  sessionStorage.removeItem(PRESENT);
  for (const id of ["facts", "turns", "decision"]) document.getElementById(id).replaceChildren();
  earlier(true);
  const button = (key, act) => el("button", { type: "button", class: "plain", onclick: act }, t(key));
  const asideCount = state.aside.size;
  document.getElementById("turns").append(
    el(
      "div",
      { class: "empty", role: "status" },
      el("h2", {}, t(queue.narrowed ? "end_narrowed" : queue.filters.status === "open" ? "end" : "end_other")),
      el("p", {}, t(queue.narrowed ? "end_narrowed_text" : "end_text", { done: state.done.length })),
      el("div", { class: "end-actions" }, queue.narrowed ? button("clear", () => queue.clear()) : null, asideCount ? button("take_aside", () => (state.aside.clear(), load(null))) : null, button("see_decided", () => ((queue.filters.status = "decided"), queue.refilter())), button("refresh", () => load(null))),
    ),
  );
}

function decision() {
  if (state.view) showDecision(state.view, { standards: given.standards, claim: state.claims.get(state.view.candidate), act, focused: state.focused, canUndo: state.done.length > 0 });
}

function set(values) {
  if (!state.view?.candidate) return;
  change(state.view.candidate, values);
  decision();
}

function setFlag(n, values) {
  const flags = { ...draft(state.view.candidate).flags };
  flags[n] = { ...flags[n], ...values };
  set({ flags });
}

async function submit() {
  const { view } = state;
  const candidate = view && candidateOf(view);
  if (!candidate || !["open", "claimed"].includes(candidate.status)) return;
  if (state.claims.get(candidate.id)?.problem) return void notice(state.claims.get(candidate.id).problem, "bad");
  const { made, missing } = judgement(view, draft(candidate.id));
  if (missing) return void notice(t(missing), "bad");
  const item = queue.items[queue.at(candidate.id)];
  const next = queue.beside(candidate.id, 1) ?? queue.beside(candidate.id, -1);
  state.claims.delete(candidate.id);
  if (!made.verdict) state.aside.add(candidate.id);
  queue.remove(candidate.id, made.verdict ? "decided" : null);
  state.view = null;
  state.views.delete(candidate.id);
  const entry = { candidate: candidate.id, decisions: null, conversation: view.conversation_id };
  state.done.push(entry);
  keepDone();
  progress();
  if (next) open(next.id);
  else if (queue.cursor) load(queue.cursor).then(() => (queue.items.length ? open(queue.items[0].id) : finished()));
  else finished();
  const saving = askKept("decide", { candidate: candidate.id, decision: made });
  state.saving.set(candidate.id, saving);
  try {
    const answer = await saving;
    entry.decisions = answer.decisions;
    forget(candidate.id);
    keepDone();
    // another clause of the same conversation may be fetched already, without this decision
    for (const [id, other] of state.views) if (other.conversation_id === view.conversation_id && state.view !== other) state.views.delete(id);
  } catch (refusal) {
    state.done = state.done.filter((one) => one !== entry);
    state.aside.delete(candidate.id);
    keepDone();
    progress();
    notice(t("not_saved", { what: item?.title ?? candidate.title, why: refusal.message }), "bad");
  } finally {
    state.saving.delete(candidate.id);
  }
}

async function undo() {
  const candidate = state.view && candidateOf(state.view);
  const shown = candidate?.status === "decided" ? { candidate: candidate.id } : state.done.at(-1);
  if (!shown) return;
  try {
    await state.saving.get(shown.candidate);
    const decided = async () => candidateOf(await ask("open", { candidate: shown.candidate })).decided.decision_id;
    await ask("undo", { candidate: shown.candidate, decisions: shown.decisions ?? [await decided()] });
    state.done = state.done.filter((one) => one.candidate !== shown.candidate);
    state.aside.delete(shown.candidate);
    keepDone();
    state.views.delete(shown.candidate);
    notice(t("undone"), "good");
    if (candidate?.id === shown.candidate) state.view = null;
    opening = shown.candidate;
    const view = await viewOf(shown.candidate);
    show(view);
    const answer = await ask("queue", queue.wanted);
    queue.show(answer, false);
    queue.select(shown.candidate);
    progress();
  } catch (refusal) {
    problem(refusal);
  }
}

async function openConversation(id) {
  try {
    const view = await ask("conversation", { conversation: id });
    opening = view.candidate;
    if (view.candidate) state.views.set(view.candidate, view);
    show(view);
  } catch (refusal) {
    problem(refusal);
  }
}

async function reload() {
  const { view } = state;
  if (!view) return;
  state.views.delete(view.candidate);
  const fresh = view.candidate ? await viewOf(view.candidate) : await ask("conversation", { conversation: view.conversation_id });
  state.view = fresh;
  if (document.activeElement?.id !== "note") decision();
}

async function report(marking) {
  const { view } = state;
  try {
    await askKept("missed", { report: { ...marking, conversation_id: view.conversation_id, screening_id: view.screening_id } });
    cancelMarking();
    notice(t("reported"), "good");
    await reload();
  } catch (refusal) {
    problem(refusal);
  }
}

function cancelMarking() {
  document.getElementById("marking").hidden = true;
}

function mark() {
  if (!state.view || state.clean) return void notice(t("mark_in_original"), "plain");
  const found = marked();
  if (found) showMarking(found, given.standards, report, cancelMarking);
  else notice(t("mark_first"), "plain");
}

function pressed(id, on) {
  document.getElementById(id).setAttribute("aria-pressed", String(on));
}

async function clean() {
  const { view } = state;
  if (!view) return;
  state.clean = !state.clean;
  pressed("clean", state.clean);
  if (!state.clean) return void showTurns(view, view.turns);
  try {
    view.normalised ??= await ask("normalised", { screening: view.screening_id });
    if (state.view === view && state.clean) showTurns(view, view.normalised.turns);
  } catch (refusal) {
    problem(refusal);
  }
}

function only() {
  const turns = document.getElementById("turns");
  pressed("only", turns.classList.toggle("only-flagged"));
}

function earlier(closed = !document.getElementById("previous").hidden) {
  document.getElementById("previous").hidden = closed;
  document.getElementById("earlier").setAttribute("aria-expanded", String(!closed));
}

function focusFlag(step) {
  const flags = state.view && candidateOf(state.view)?.flags;
  if (!flags?.length) return;
  const at = flags.indexOf(state.focused);
  goTo(flags[(at + step + flags.length + (at < 0 && step < 0 ? 1 : 0)) % flags.length]);
}

function goTo(n) {
  state.focused = n;
  decision();
  document.querySelector(`[data-flag="${n}"]`)?.scrollIntoView({ block: "nearest" });
  const mark = [...document.querySelectorAll("#turns [data-flags]")].find((one) => one.dataset.flags.split(" ").includes(String(n)));
  for (const one of document.querySelectorAll("#turns .here")) one.classList.remove("here");
  mark?.classList.add("here");
  mark?.scrollIntoView({ block: "center" });
}

function hideCard() {
  document.getElementById("flag-card").hidden = true;
}

const act = {
  step: (by) => {
    const next = state.view && queue.beside(state.view.candidate, by);
    if (next) open(next.id);
    else if (!state.view && queue.items.length) open(queue.items[0].id);
    else if (by > 0 && queue.cursor) load(queue.cursor);
  },
  next: () => act.step(1),
  open,
  verdict: (verdict) => set({ verdict }),
  level: (level) => set({ level }),
  reason: (reason) => set({ reason }),
  digit: (digit) => {
    const { verdict } = draft(state.view?.candidate);
    if (verdict === "rejected") act.reason(REASONS[digit - 1]);
    else if (digit <= 3) set({ verdict: "confirmed", level: "ABC"[digit - 1] });
  },
  severe: () => {
    const candidate = state.view && candidateOf(state.view);
    if (candidate) set({ verdict: "confirmed", severe: !(draft(candidate.id).severe ?? candidate.severe) });
  },
  clause: (clause) => set({ clause, level: null }),
  note: (note) => state.view?.candidate && change(state.view.candidate, { note }),
  flag: (n, verdict) => setFlag(n, { verdict }),
  flagReason: (n, reason) => setFlag(n, { reason }),
  focused: (verdict) => state.focused !== null && setFlag(state.focused, { verdict }),
  focusFlag,
  submit,
  undo,
  mark,
  clean,
  only,
  earlier: () => earlier(),
  withdraw: async (id) => {
    try {
      await ask("withdraw", { report: id });
      await reload();
    } catch (refusal) {
      problem(refusal);
    }
  },
  escape: () => {
    hideCard();
    cancelMarking();
    document.activeElement?.blur();
  },
};

function watchWords() {
  const turns = document.getElementById("turns");
  const numbers = (mark) => mark.dataset.flags.split(" ").map(Number);
  const over = (event) => {
    const mark = event.target.closest?.("[data-flags]");
    if (mark && state.view) showCard(state.view, numbers(mark), mark);
  };
  turns.addEventListener("mouseover", over);
  turns.addEventListener("focusin", over);
  turns.addEventListener("mouseout", (event) => event.target.closest?.("[data-flags]") && hideCard());
  turns.addEventListener("focusout", hideCard);
  turns.addEventListener("scroll", hideCard, { passive: true });
  turns.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-flags]");
    if (mark && getSelection().isCollapsed) goTo(numbers(mark)[0]);
  });
  turns.addEventListener("keydown", (event) => {
    const mark = event.target.closest("[data-flags]");
    if (mark && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.stopPropagation();
      goTo(numbers(mark)[0]);
    }
  });
  turns.addEventListener("mouseup", () => setTimeout(() => !state.clean && marked() && mark(), 0));
}

async function start() {
  const frame = document.getElementById("triage");
  given = JSON.parse(frame.dataset.given);
  setWords(given.words);
  queue = new Queue(given.standards, load, open);
  for (const [id, action] of Object.entries({ only, clean, earlier: () => earlier(), help: () => showHelp() })) document.getElementById(id).addEventListener("click", action);
  document.getElementById("decision").addEventListener("click", (event) => {
    const box = event.target.closest("[data-go]");
    if (box) goTo(Number(box.dataset.go));
  });
  watchWords();
  listen(act);
  setInterval(() => state.view && state.claims.get(state.view.candidate)?.until && hold(state.view), RENEW);
  await resend((message, answer) => {
    const entry = state.done.find((one) => one.candidate === message.given.candidate);
    if (entry) entry.decisions = answer.decisions;
    keepDone();
  }).catch(problem);
  const wanted = new URLSearchParams(location.search);
  if (wanted.has("conversation")) await openConversation(wanted.get("conversation"));
  else if (wanted.has("candidate")) await open(Number(wanted.get("candidate")));
  else await goOn();
  await load(null, true);
}

async function goOn() {
  const present = Number(sessionStorage.getItem(PRESENT));
  if (!present) return;
  try {
    const view = await viewOf(present);
    if (["open", "claimed"].includes(candidateOf(view).status)) show(view);
  } catch {
    sessionStorage.removeItem(PRESENT);
  }
}

(function wait() {
  if (document.getElementById("triage") && window.did_handshake) start();
  else setTimeout(wait, 15);
})();
