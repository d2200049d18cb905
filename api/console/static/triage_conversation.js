// The middle pane: the turns with the flagged words, what is behind them, and the marking of words that the machine missed.
"use strict";
import { choice, el, level, percent, signal, t } from "./triage_dom.js";

const PAUSE = 60;
const points = (text) => [...text].length;

export function flagLevel(view, n) {
  const levels = view.candidates.filter((one) => one.flags.includes(n)).map((one) => one.level);
  return levels.sort()[0] ?? null;
}

export function duration(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (hours) return t("hours", { hours, minutes });
  return minutes ? t("minutes", { minutes, seconds: rest }) : t("seconds", { seconds: rest });
}

function piece(view, cut, own) {
  const runs = cut.runs.map(([start, text, label, title]) =>
    title ? el("span", { class: "unseen", "data-start": start, "data-char": text, title }, label) : el("span", { "data-start": start }, text),
  );
  if (!cut.flags.length) return runs;
  const flag = view.flags[cut.flags[0]];
  const letter = flagLevel(view, flag.n);
  const kind = flag.status === "active" && letter ? `mark-${letter}` : "mark-quiet";
  const mine = own.has(flag.n) ? " mark-own" : "";
  const named = { "data-flags": cut.flags.join(" "), "data-level": letter ?? "", tabindex: 0, role: "button", "aria-label": `${signal(flag.signal)}: ${runs.map((run) => run.textContent).join("")}` };
  return [el("mark", { class: kind + mine, ...named }, ...runs)];
}

function bubble(view, turn, n, own) {
  const flagged = turn.whole.length > 0 || turn.pieces.some((cut) => cut.flags.length);
  const text = el("div", { class: "text", "data-turn": n }, ...turn.pieces.flatMap((cut) => piece(view, cut, own)));
  const whole = turn.whole.map((number) => {
    const letter = flagLevel(view, number);
    return el("button", { type: "button", class: `whole ${letter ? `mark-${letter}` : "mark-quiet"}`, "data-flags": number, "data-level": letter ?? "" }, signal(view.flags[number].signal));
  });
  const head = el("div", { class: "said-by" }, t(`role_${turn.role}`), turn.kind && turn.kind !== "text" ? ` · ${t(`kind_${turn.kind}`)}` : "", turn.time ? el("time", {}, turn.time) : null);
  return el("div", { class: `turn ${turn.role}${flagged ? " flagged" : ""}`, "data-n": n }, head, el("div", { class: "bubble" }, text, whole.length ? el("div", { class: "wholes" }, ...whole) : null));
}

export function showTurns(view, turns) {
  const own = new Set(view.candidates.find((one) => one.id === view.candidate)?.flags ?? []);
  const all = new DocumentFragment();
  turns.forEach((turn, n) => {
    const gap = view.turns[n].gap;
    if (gap !== null && gap >= PAUSE) all.append(el("div", { class: "gap", "data-n": n }, t("gap", { time: duration(gap) })));
    all.append(bubble(view, { ...view.turns[n], ...turn }, n, own));
  });
  const present = document.getElementById("turns");
  present.replaceChildren(all);
  const first = [...present.querySelectorAll("[data-flags]")].find((mark) => mark.dataset.flags.split(" ").some((n) => own.has(Number(n))));
  if (first) {
    const turn = first.closest(".turn");
    present.scrollTop = Math.max(0, turn.offsetTop - present.offsetTop - 120);
  } else present.scrollTop = 0;
}

export function showFacts(view) {
  const { facts } = view;
  const pairs = [
    [t("agent"), facts.agent],
    [t("customer"), facts.customer],
    [t("vendor"), facts.vendor],
    [t("channel"), t(`channel_${facts.channel}`)],
    [t("started"), facts.started],
    [t("ended_by"), facts.ended_by && t(`ended_${facts.ended_by}`)],
  ].filter((pair) => pair[1]);
  const warnings = [];
  if (view.latest_screening_id !== view.screening_id) warnings.push(el("p", { class: "warning" }, t("outdated")));
  if (!view.complete) warnings.push(el("p", { class: "warning" }, t("incomplete")));
  if (view.not_checked.length) warnings.push(el("span", { class: "tag", title: t("not_checked_why") }, t("not_checked", { what: view.not_checked.map((one) => t(`unchecked_${one}`).replace(/^unchecked_/, "")).join(t("comma")) })));
  document.getElementById("facts").replaceChildren(
    el("h2", { class: "mono", title: view.conversation_id }, view.conversation_id),
    el("dl", {}, ...pairs.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
    ...warnings,
  );
}

export function showPrevious(view, open) {
  const list = (title, found, name) =>
    el(
      "div",
      {},
      el("h3", {}, title),
      found.length
        ? el("ul", {}, ...found.map((one) => el("li", {}, el("button", { type: "button", class: "quiet", onclick: () => open(one.conversation_id) }, one.level ? level(one.level) : el("span", { class: "level level-none" }, "–"), el("span", { class: "mono" }, one.conversation_id), el("span", { class: "muted" }, one.started_at ?? ""), name && one.agent_id ? el("span", { class: "muted" }, one.agent_id) : null, one.confirmed.length ? el("span", { class: "tag tag-bad" }, t("confirmed_before", { count: one.confirmed.length })) : null))))
        : el("p", { class: "muted" }, t("no_previous")),
    );
  document.getElementById("previous").replaceChildren(list(t("previous_of_customer"), view.previous_of_customer, true), list(t("previous_of_agent"), view.previous_of_agent, false));
}

export function flagFacts(view, flag) {
  const found = view.candidates.filter((one) => one.flags.includes(flag.n));
  const source = `${t(`source_${flag.source.kind}`)} ${flag.source.id} v${flag.source.version}`;
  return [
    el("div", { class: "flag-title" }, ...found.map((one) => level(one.level)), el("strong", {}, signal(flag.signal)), flag.status === "active" ? null : el("span", { class: "tag" }, t(`flag_${flag.status}`)), el("span", { class: "flag-score", title: t("score_why") }, percent(flag.score))),
    el("p", { class: "why" }, flag.why),
    ...found.map((one) => el("p", { class: "muted small" }, t("clause_is", { title: one.title, clause: one.clause }))),
    flag.excused_by ? el("p", { class: "muted small" }, t("excused_by", { what: t(`excuse_${flag.excused_by}`).replace(/^excuse_/, "") })) : null,
    el("p", { class: "muted small mono source" }, source),
  ];
}

export function showCard(view, numbers, beside) {
  const card = document.getElementById("flag-card");
  card.replaceChildren(...numbers.map((n) => el("div", { class: "flag-facts" }, ...flagFacts(view, view.flags[n]).filter(Boolean))));
  card.hidden = false;
  const place = beside.getBoundingClientRect();
  const below = place.bottom + card.offsetHeight + 8 < innerHeight;
  card.style.left = `${Math.max(8, Math.min(place.left, innerWidth - card.offsetWidth - 8))}px`;
  card.style.top = `${below ? place.bottom + 6 : Math.max(8, place.top - card.offsetHeight - 6)}px`;
}

// The marked words of one turn: {turn, start, end, quote} in code points of the original, or null.
export function marked() {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const holder = (node) => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.(".text[data-turn]");
  const text = holder(range.startContainer) ?? holder(range.endContainer);
  if (!text || (holder(range.endContainer) ?? text) !== text || (holder(range.startContainer) ?? text) !== text) return null;
  let [start, end, quote] = [null, null, ""];
  for (const run of text.querySelectorAll("[data-start]")) {
    if (!range.intersectsNode(run)) continue;
    const own = run.firstChild;
    const first = range.startContainer === own ? range.startOffset : 0;
    const last = range.endContainer === own ? range.endOffset : own.length;
    if (first >= last) continue;
    const at = Number(run.dataset.start);
    const unseen = run.dataset.char;
    start ??= at + (unseen ? 0 : points(own.data.slice(0, first)));
    end = at + (unseen ? 1 : points(own.data.slice(0, last)));
    quote += unseen ?? own.data.slice(first, last);
  }
  return start === null || start >= end ? null : { turn: Number(text.dataset.turn), start, end, quote };
}

export function showMarking(marking, standards, report, cancel) {
  const present = document.getElementById("marking");
  const chosen = { standard: "", clause: "", signal: "", note: "" };
  const signals = el("span", {});
  const options = el("select", { class: "field", "aria-label": t("clause"), required: true }, el("option", { value: "" }, t("choose_clause")));
  for (const standard of standards) {
    const group = el("optgroup", { label: standard.title });
    standard.clauses.forEach((clause) => group.append(el("option", { value: `${standard.id}\n${clause.id}` }, `${clause.level} ${clause.title}`)));
    options.append(group);
  }
  const sent = el("button", { type: "submit", class: "primary", disabled: true }, t("report"));
  options.addEventListener("change", () => {
    [chosen.standard, chosen.clause] = options.value.split("\n");
    const found = standards.find((one) => one.id === chosen.standard)?.clauses.find((one) => one.id === chosen.clause);
    const several = found?.signals.length > 1 ? found.signals : [];
    chosen.signal = several[0] ?? "";
    signals.replaceChildren(...(several.length ? [choice(several.map((one) => ({ value: one, text: signal(one) })), chosen.signal, (value) => (chosen.signal = value), { "aria-label": t("signal") })] : []));
    sent.disabled = !found;
  });
  const note = el("input", { class: "field", maxlength: 4000, placeholder: t("note"), "aria-label": t("note") });
  const form = el(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        report({ ...marking, standard: chosen.standard, clause: chosen.clause, signal: chosen.signal || null, note: note.value.trim() || null });
      },
    },
    el("p", {}, el("strong", {}, t("missed")), el("q", {}, marking.quote)),
    el("div", { class: "marking-fields" }, options, signals, note, sent, el("button", { type: "button", class: "quiet", onclick: cancel }, t("cancel"))),
  );
  present.replaceChildren(form);
  present.hidden = false;
  options.focus();
}
