// The left pane: filters with counts, the rows, and how far one is.
"use strict";
import { choice, el, level, percent, segments, signal, t } from "./triage_dom.js";

const CHANNELS = ["online", "phone", "email", "social"];
const STATUSES = ["open", "claimed", "decided"];
const NAMES = ["words", "clause", "signal", "channel", "assignee", "agent", "vendor", "occurred_from", "occurred_to", "score_from", "score_to"];
const KEPT = "triage_filters";

export class Queue {
  constructor(standards, load, open) {
    this.items = [];
    this.cursor = null;
    this.open = open;
    this.load = load;
    this.clauses = new Map(standards.flatMap((one) => one.clauses.map((clause) => [clause.id, clause])));
    this.signals = [...new Set(standards.flatMap((one) => one.clauses.flatMap((clause) => clause.signals)))];
    this.filters = { status: "open", ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };
    this.rows = document.getElementById("rows");
    this.form = document.getElementById("filters");
    this.elements = new Map();
    this.#fill();
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.#changed());
    document.getElementById("clear").addEventListener("click", () => this.clear());
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest("[data-id]");
      if (row) this.open(Number(row.dataset.id));
      else if (event.target.closest("[data-more]")) this.load(this.cursor);
    });
  }

  #fill() {
    const option = (value, text) => ({ value, text });
    const all = option("", t("all"));
    const channels = CHANNELS.map((one) => option(one, t(`channel_${one}`)));
    const selects = {
      signal: [all, ...this.signals.map((one) => option(one, signal(one)))],
      channel: [all, ...channels],
      clause: [all, ...[...this.clauses.values()].map((one) => option(one.id, `${one.level} ${one.title}`))],
    };
    for (const [name, options] of Object.entries(selects)) {
      const made = choice(options, this.filters[name] ?? "", () => {}, { name });
      this.form.elements[name].replaceWith(made);
    }
    for (const name of NAMES) this.form.elements[name].value = this.filters[name] ?? "";
  }

  #changed() {
    for (const name of NAMES) {
      const value = this.form.elements[name].value.trim();
      if (value) this.filters[name] = value;
      else delete this.filters[name];
    }
    this.refilter();
  }

  refilter() {
    sessionStorage.setItem(KEPT, JSON.stringify(this.filters));
    this.load(null);
  }

  clear() {
    this.filters = { status: this.filters.status };
    for (const name of NAMES) this.form.elements[name].value = "";
    this.refilter();
  }

  get narrowed() {
    return Object.keys(this.filters).some((name) => name !== "status");
  }

  // What the service is asked for: days as times, numbers as numbers.
  get wanted() {
    const wanted = { ...this.filters };
    const offset = (day) => {
      const minutes = -new Date(`${day}T00:00`).getTimezoneOffset();
      const part = (value) => String(Math.floor(Math.abs(value))).padStart(2, "0");
      return `${minutes < 0 ? "-" : "+"}${part(minutes / 60)}:${part(minutes % 60)}`;
    };
    if (wanted.occurred_from) wanted.occurred_from += `T00:00:00${offset(wanted.occurred_from)}`;
    if (wanted.occurred_to) {
      const next = new Date(`${wanted.occurred_to}T12:00:00Z`);
      next.setUTCDate(next.getUTCDate() + 1);
      const day = next.toISOString().slice(0, 10);
      wanted.occurred_to = `${day}T00:00:00${offset(day)}`;
    }
    for (const name of ["score_from", "score_to"]) if (wanted[name]) wanted[name] = Number(wanted[name]);
    return wanted;
  }

  show(answer, continued) {
    if (!continued) {
      this.items = [];
      this.elements.clear();
      this.rows.replaceChildren();
      this.counts = answer.counts;
      this.#showCounts();
    }
    this.rows.querySelector("[data-more]")?.remove();
    const added = answer.items.filter((item) => !this.elements.has(item.id));
    this.items.push(...added);
    this.rows.append(...added.map((item) => this.#row(item)));
    this.cursor = answer.next;
    if (this.cursor) this.rows.append(el("li", { class: "more-rows", role: "presentation" }, el("button", { type: "button", class: "plain", "data-more": true }, t("more"))));
    if (!this.items.length) this.rows.append(el("li", { class: "no-rows", role: "presentation" }, t(this.narrowed ? "none_narrowed" : "none")));
  }

  #showCounts() {
    const { counts } = this;
    const capped = (count) => (count > counts.limit ? `${counts.limit}+` : String(count));
    const labelled = (text, count) => ({ text: el("span", {}, text, el("small", {}, capped(count))) });
    const replace = (id, options, name) => {
      const present = document.getElementById(id);
      const made = segments(options, this.filters[name] ?? "", (value) => {
        if (value) this.filters[name] = value;
        else delete this.filters[name];
        this.refilter();
      }, { id, "aria-label": present.getAttribute("aria-label") });
      present.replaceWith(made);
    };
    replace("status", STATUSES.map((one) => ({ value: one, ...labelled(t(`status_${one}`), counts.status[one]) })), "status");
    const levels = ["A", "B", "C"].map((one) => ({ value: one, ...labelled(one, counts.level[one]) }));
    replace("levels", [{ value: "", text: t("all") }, ...levels], "level");
    for (const option of this.form.elements.clause.options) {
      const clause = this.clauses.get(option.value);
      if (clause) option.textContent = `${clause.level} ${clause.title}（${capped(counts.clause[clause.id] ?? 0)}）`;
    }
    for (const option of this.form.elements.channel.options) {
      if (option.value) option.textContent = `${t(`channel_${option.value}`)}（${capped(counts.channel[option.value])}）`;
    }
    const more = NAMES.filter((name) => name !== "words" && this.filters[name]).length;
    document.getElementById("filter-count").textContent = more ? ` ${more}` : "";
  }

  #row(item) {
    const when = item.occurred.slice(5);
    const row = el(
      "li",
      { "data-id": item.id, role: "option", id: `row-${item.id}`, "aria-selected": "false" },
      level(item.decided?.level ?? item.level),
      el("span", { class: "row-title" }, item.title),
      el("span", { class: "row-score", title: t("score") }, percent(item.score)),
      el("span", { class: "row-facts" }, [item.agent_id, item.vendor_id, t(`channel_${item.channel}`)].filter(Boolean).join(" · ")),
      el("span", { class: "row-when" }, when),
      this.#standing(item),
    );
    this.elements.set(item.id, row);
    return row;
  }

  #standing(item) {
    if (item.decided) {
      const confirmed = item.decided.verdict === "confirmed";
      return el("span", { class: `tag ${confirmed ? "tag-bad" : "tag-good"}` }, t(`verdict_${item.decided.verdict}`));
    }
    if (item.assignee) return el("span", { class: "tag tag-warn" }, t(item.status === "claimed" ? "held_by" : "assigned_to", { name: item.assignee }));
    return item.severe ? el("span", { class: "tag tag-bad" }, t("severe")) : null;
  }

  select(id) {
    for (const chosen of this.rows.querySelectorAll("[aria-selected=true]")) chosen.setAttribute("aria-selected", "false");
    const row = this.elements.get(id);
    this.rows.setAttribute("aria-activedescendant", row ? row.id : "");
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
  }

  at(id) {
    return this.items.findIndex((item) => item.id === id);
  }

  // The item after (or before) this one; where it is gone already, the one that took its place.
  beside(id, step) {
    return this.items[this.at(id) + step];
  }

  // Takes an item out; `to` is the status it has now.
  remove(id, to = null) {
    const at = this.at(id);
    if (at < 0) return;
    const [item] = this.items.splice(at, 1);
    this.elements.get(id)?.remove();
    this.elements.delete(id);
    this.counts.status[this.filters.status] -= 1;
    if (to) this.counts.status[to] += 1;
    this.counts.total -= 1;
    this.counts.level[item.level] -= 1;
    this.#showCounts();
  }
}

export function showProgress(done, left, limit) {
  const total = done + Math.min(left, limit);
  const share = total ? (100 * done) / total : 0;
  const bar = el("div", { class: "bar", role: "progressbar", "aria-label": t("progress"), "aria-valuenow": Math.round(share), "aria-valuemin": 0, "aria-valuemax": 100 }, el("i", {}));
  bar.firstChild.style.width = `${share}%`;
  const text = t("progress_text", { done, left: left > limit ? `${limit}+` : left });
  document.getElementById("progress").replaceChildren(el("span", {}, text), bar);
}
