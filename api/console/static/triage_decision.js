// The right pane: the clause, the flags with a verdict each, and the decision on the candidate. What is typed is a draft, kept in the tab.
"use strict";
import { choice, el, level, segments, t } from "./triage_dom.js";
import { flagFacts } from "./triage_conversation.js";

export const REASONS = ["wrong_context", "quoted", "rule_too_wide", "clause_misread", "normalisation_fault"];
const LEVELS = ["A", "B", "C"];
const KEPT = "triage_drafts";
const EMPTY = { verdict: null, reason: null, level: null, clause: null, severe: null, note: "", flags: {} };

const drafts = new Map(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
const keep = () => sessionStorage.setItem(KEPT, JSON.stringify([...drafts].slice(-50)));

export const draft = (id) => ({ ...EMPTY, ...drafts.get(id) });
export const forget = (id) => {
  drafts.delete(id);
  keep();
};
export function change(id, values) {
  drafts.set(id, { ...draft(id), ...values });
  keep();
}

export const candidateOf = (view) => view.candidates.find((one) => one.id === view.candidate);

// The judgement of a draft as the service takes it; null, with the reason said, where something is missing.
export function judgement(view, given) {
  const candidate = candidateOf(view);
  if (!given.verdict) return { missing: "missing_verdict" };
  if (given.verdict === "rejected" && !given.reason) return { missing: "missing_reason" };
  const flags = candidate.flags.map((n) => {
    const own = given.flags[n] ?? {};
    const verdict = own.verdict ?? given.verdict;
    return { n, verdict, reason: verdict === "rejected" ? (own.reason ?? given.reason ?? REASONS[0]) : null };
  });
  const note = given.note.trim() || null;
  const made = { screening_id: view.screening_id, flags, note };
  if (given.verdict === "unsure") return { made };
  made.verdict = given.verdict;
  if (given.verdict === "rejected") return { made: { ...made, reason: given.reason } };
  const clause = given.clause && given.clause !== candidate.clause ? given.clause : null;
  return { made: { ...made, clause, level: given.level, severe: given.severe } };
}

function clauseBox(view, candidate, standards) {
  const standard = standards.find((one) => one.id === candidate.standard);
  const clause = standard?.clauses.find((one) => one.id === candidate.clause);
  return el(
    "div",
    { class: "clause" },
    el("div", { class: "clause-title" }, level(candidate.level), el("h2", {}, candidate.title), candidate.severe ? el("span", { class: "tag tag-bad" }, t("severe")) : null),
    clause ? el("p", {}, clause.text) : null,
    el("p", { class: "muted small" }, [standard?.title, clause?.place].filter(Boolean).join(" · ")),
  );
}

// The verdict in force on a flag of a candidate that is decided.
function judged(view, flag) {
  const last = view.decisions.findLast((one) => one.kind === "flag" && one.flag === flag.n && !one.undone);
  if (!last) return null;
  const tag = { confirmed: "tag-bad", rejected: "tag-good", unsure: "" }[last.verdict];
  return el("div", { class: "flag-verdict" }, el("span", { class: `tag ${tag}` }, t(`verdict_${last.verdict}`)), last.reason ? el("span", { class: "muted small" }, t(`reason_${last.reason}`)) : null);
}

function flagBox(view, flag, open, given, act, focused) {
  const own = given.flags[flag.n] ?? {};
  const verdict = own.verdict ?? given.verdict;
  const options = [
    { value: "confirmed", text: "✓", title: t("flag_yes"), class: "yes" },
    { value: "rejected", text: "✕", title: t("flag_no"), class: "no" },
    { value: "unsure", text: "?", title: t("flag_unsure"), class: "unsure" },
  ];
  const reasons = REASONS.map((one) => ({ value: one, text: t(`reason_${one}`) }));
  const box = el(
    "li",
    { class: `flag${focused ? " focused" : ""}`, "data-flag": flag.n, tabindex: -1 },
    flag.quote ? el("q", { "data-go": flag.n }, flag.quote) : null,
    ...flagFacts(view, flag),
    open
      ? el(
          "div",
          { class: "flag-verdict" },
          segments(options, verdict, (value) => act.flag(flag.n, value), { "aria-label": t("flag_verdict") }),
          verdict === "rejected" ? choice(reasons, own.reason ?? given.reason ?? REASONS[0], (value) => act.flagReason(flag.n, value), { "aria-label": t("reason") }) : null,
        )
      : judged(view, flag),
    flag.suggestion ? el("p", { class: "suggestion" }, el("strong", {}, t("suggestion")), flag.suggestion) : null,
  );
  return box;
}

function past(view, act) {
  const shown = view.decisions.filter((one) => one.kind !== "undo").slice(-12);
  const reports = view.missed.filter((one) => !one.undone);
  if (!shown.length && !reports.length) return null;
  const line = (one) =>
    el(
      "li",
      { class: one.undone ? "undone" : "" },
      el("span", {}, one.verdict ? t(`verdict_${one.verdict}`) : t("note")),
      one.flag === null ? null : el("span", { class: "muted" }, t("on_flag", { n: one.flag + 1 })),
      one.level ? level(one.level) : null,
      el("span", { class: "muted" }, `${one.user} ${one.at.slice(5)}`),
      one.undone ? el("span", { class: "tag" }, t("taken_back")) : null,
      one.note ? el("p", {}, one.note) : null,
    );
  const report = (one) =>
    el("li", {}, el("span", {}, t("missed")), level(one.level), el("span", { class: "muted" }, `${one.clause} · ${one.user}`), el("button", { type: "button", class: "quiet small", onclick: () => act.withdraw(one.id) }, t("withdraw")), one.note ? el("p", {}, one.note) : null);
  return el("details", { class: "past" }, el("summary", {}, t("past", { count: shown.length + reports.length })), el("ul", {}, ...reports.map(report), ...shown.map(line)));
}

function standing(view, candidate, claim) {
  if (candidate.status === "decided") return el("p", { class: "standing decided" }, t("is_decided", { verdict: t(`verdict_${candidate.decided.verdict}`) }));
  if (candidate.status === "outdated") return el("p", { class: "standing other" }, t("outdated"));
  if (claim?.problem) return el("p", { class: "standing other", role: "alert" }, claim.problem);
  if (claim?.until) return el("p", { class: "standing mine" }, t("held_until", { time: claim.until }));
  return el("p", { class: "standing" }, t(candidate.assignee ? "held_by" : "free", { name: candidate.assignee }));
}

// Only the line on who holds it: whoever is typing (perhaps in the middle of a composition) keeps the field.
export function showStanding(view, claim) {
  document.querySelector("#decision .standing")?.replaceWith(standing(view, candidateOf(view), claim));
}

export function showDecision(view, { standards, claim, act, focused, canUndo }) {
  const pane = document.getElementById("decision");
  const scrolled = pane.dataset.id === String(view.candidate) ? (pane.querySelector(".decision-body")?.scrollTop ?? 0) : 0;
  pane.dataset.id = String(view.candidate);
  const candidate = candidateOf(view);
  if (!candidate) {
    pane.replaceChildren(el("div", { class: "decision-body" }, el("h2", {}, t("no_candidate")), el("p", { class: "muted" }, t("no_candidate_text")), past(view, act)));
    return;
  }
  const given = draft(candidate.id);
  const others = view.candidates.filter((one) => one.id !== candidate.id);
  const open = candidate.status === "open" || candidate.status === "claimed";
  const body = el(
    "div",
    { class: "decision-body", tabindex: 0, role: "region", "aria-label": t("evidence") },
    standing(view, candidate, claim),
    clauseBox(view, candidate, standards),
    others.length ? el("div", { class: "others" }, el("span", { class: "muted small" }, t("others")), ...others.map((one) => el("button", { type: "button", class: "plain small", onclick: () => act.open(one.id) }, level(one.level), one.title))) : null,
    el("ul", { class: "flags" }, ...candidate.flags.map((n) => flagBox(view, view.flags[n], open, given, act, focused === n))),
    past(view, act),
  );
  pane.replaceChildren(body, open ? form(view, candidate, given, standards, act, canUndo) : closed(candidate, act, canUndo));
  body.scrollTop = scrolled;
}

function closed(candidate, act, canUndo) {
  return el("div", { class: "decision-form" }, el("div", { class: "submit-line" }, el("button", { type: "button", class: "plain", disabled: !canUndo && candidate.status !== "decided", onclick: () => act.undo() }, t("undo"), el("kbd", {}, "z")), el("button", { type: "button", class: "primary", onclick: () => act.next() }, t("next"), el("kbd", {}, "j"))));
}

function form(view, candidate, given, standards, act, canUndo) {
  const verdicts = [
    { value: "confirmed", text: t("verdict_confirmed"), key: "y", class: "yes" },
    { value: "rejected", text: t("verdict_rejected"), key: "n", class: "no" },
    { value: "unsure", text: t("verdict_unsure"), key: "u", class: "unsure" },
  ];
  const made = el("form", { class: "decision-form", onsubmit: (event) => (event.preventDefault(), act.submit()) });
  made.append(segments(verdicts, given.verdict, act.verdict, { class: "segmented verdicts", "aria-label": t("verdict") }));
  if (given.verdict === "confirmed") {
    const clauses = standards.find((one) => one.id === candidate.standard)?.clauses ?? [];
    const chosen = clauses.find((one) => one.id === (given.clause ?? candidate.clause));
    const letter = given.level ?? (given.clause ? chosen?.level : candidate.level);
    const severe = given.severe ?? candidate.severe;
    const options = clauses.map((one) => ({ value: one.id, text: `${one.level} ${one.title}` }));
    made.append(
      el("div", { class: "line" }, el("span", { class: "label" }, t("level")), segments(LEVELS.map((one, i) => ({ value: one, text: one, key: i + 1, class: `is-${one}` })), letter, act.level, { "aria-label": t("level") }), el("label", { class: "check" }, el("input", { type: "checkbox", checked: severe, onchange: () => act.severe() }), t("severe"), el("kbd", {}, "s"))),
      el("div", { class: "line" }, el("span", { class: "label" }, t("clause")), choice(options, given.clause ?? candidate.clause, act.clause, { "aria-label": t("clause") })),
    );
  }
  if (given.verdict === "rejected") {
    const reasons = REASONS.map((one, i) => ({ value: one, text: t(`reason_${one}`), key: i + 1 }));
    made.append(segments(reasons, given.reason, act.reason, { class: "segmented reasons", "aria-label": t("reason") }));
  }
  const note = el("textarea", { class: "field", id: "note", rows: given.note ? 3 : 1, maxlength: 4000, placeholder: `${t("note")} (e)`, "aria-label": t("note"), oninput: () => act.note(note.value) });
  note.value = given.note;
  made.append(note);
  made.append(el("div", { class: "submit-line" }, el("button", { type: "button", class: "plain", disabled: !canUndo, title: t("undo_why"), onclick: () => act.undo() }, t("undo"), el("kbd", {}, "z")), el("button", { type: "submit", class: "primary" }, t(given.verdict === "unsure" ? "set_aside" : "submit"), el("kbd", {}, "↵"))));
  return made;
}
