// The jobs page: what runs, how far it is, what came of it. The upload before it stands in jobs_upload.js.
import { ask, filled, h, moment, number, whenThere } from "./dom.js";
import { uploading } from "./jobs_upload.js";

const RUNNING = ["queued", "running"];
const QUICK = 1000;
const SLOW = 10000;

whenThere("#jobs", (root, given) => {
  const t = filled(given.words);
  const problem = (error) => {
    const said = t(`error.${error.code}`) === `error.${error.code}` ? t("error.other") : t(`error.${error.code}`);
    return error.message ? `${said} (${error.message})` : said;
  };
  const list = root.querySelector("#job-list");
  const rows = new Map(); // id -> {view, cells}
  let jobs = [];
  let next = null;
  let timer = 0;

  const kindOf = () => new URLSearchParams(location.search).get("kind") ?? "";
  const choice = root.querySelector("#job-kind");
  choice.value = kindOf();
  choice.addEventListener("change", () => {
    history.replaceState(null, "", choice.value ? `?kind=${choice.value}` : location.pathname);
    rows.clear();
    refresh();
  });

  const query = (extra) => {
    const wanted = new URLSearchParams({ limit: "30", ...extra });
    if (kindOf()) wanted.set("kind", kindOf());
    return `/v1/jobs?${wanted}`;
  };

  const refresh = async () => {
    clearTimeout(timer);
    try {
      const page = await ask("GET", query({}));
      const known = new Set(page.jobs.map((job) => job.id));
      const older = jobs.filter((job) => !known.has(job.id) && page.jobs.length && job.id < page.jobs.at(-1).id);
      if (!older.length) next = page.next;
      jobs = [...page.jobs, ...(rows.size ? older : [])];
      draw();
    } catch (error) {
      if (!rows.size) list.replaceChildren(h("p", { class: "note note-bad", role: "alert" }, problem(error)));
    }
    timer = setTimeout(refresh, jobs.some((job) => RUNNING.includes(job.state)) ? QUICK : SLOW);
  };

  const more = async () => {
    const page = await ask("GET", query({ before: String(jobs.at(-1).id) }));
    jobs = [...jobs, ...page.jobs];
    next = page.next;
    draw();
  };

  const draw = () => {
    if (!jobs.length) {
      rows.clear();
      list.replaceChildren(
        h("div", { class: "empty", role: "status" }, h("h2", {}, t("none")), h("p", {}, t("none_text"))),
      );
      return;
    }
    let body = list.querySelector(".job-rows");
    if (!body) {
      rows.clear();
      body = h("div", { class: "job-rows" });
      list.replaceChildren(body);
    }
    for (const id of [...rows.keys()]) {
      if (!jobs.some((job) => job.id === id)) {
        rows.get(id).element.remove();
        rows.delete(id);
      }
    }
    jobs.forEach((job, place) => {
      if (!rows.has(job.id)) rows.set(job.id, made(job));
      const row = rows.get(job.id);
      if (body.children[place] !== row.element) body.insertBefore(row.element, body.children[place] ?? null);
      row.show(job);
    });
    list.querySelector(".job-more")?.remove();
    if (next !== null) {
      const button = h("button", { type: "button", class: "plain job-more", onclick: () => more() }, t("older"));
      list.append(button);
    }
  };

  // A row is made once and then only changed, so that focus and an open result stay where they are.
  const made = (first) => {
    const id = first.id;
    const name = first.name ?? t(`kind_${first.kind}`);
    const state = h("span", { class: "tag" });
    const filledPart = h("i");
    const bar = h("div", { class: "bar", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": name }, filledPart);
    const progress = h("span", { class: "job-progress" });
    const came = h("div", { class: "job-came" });
    const error = h("p", { class: "note note-bad", hidden: true });
    const below = h("div", { class: "job-found", hidden: true });
    const results = h("button", { type: "button", class: "plain", "aria-expanded": "false", onclick: () => open() }, t("results"));
    const errors = h("a", { class: "plain", href: `/v1/jobs/${id}/errors.csv`, download: `job-${id}-errors.csv` }, t("errors"));
    const cancel = h("button", { type: "button", class: "quiet", onclick: () => stop() }, t("cancel"));
    const tests = h("a", { class: "plain", href: "/console/rules?tab=back_tests" }, t("report"));
    const element = h(
      "section",
      { class: "job", "data-job": id },
      h(
        "div",
        { class: "job-name" },
        h("h3", { title: name }, name),
        h("p", { class: "muted small" }, [`${t(`kind_${first.kind}`)} #${id}`, first.created_by.split(":").at(-1), moment(first.created_at)].join(t("comma"))),
      ),
      h("div", { class: "job-state" }, h("div", { class: "row-line" }, state, progress), bar),
      came,
      h("div", { class: "job-actions" }, first.kind === "back_test" ? tests : results, errors, cancel),
      error,
      below,
    );

    const stop = async () => {
      cancel.disabled = true;
      try {
        await ask("POST", `/v1/jobs/${id}/cancel`);
      } catch (failed) {
        error.textContent = problem(failed);
        error.hidden = false;
      }
      cancel.disabled = false;
      refresh();
    };

    const open = () => {
      below.hidden = !below.hidden;
      results.setAttribute("aria-expanded", String(!below.hidden));
      if (!below.hidden) found(below, id, 0);
    };

    const show = (job) => {
      const over = job.done + job.refused;
      const part = job.total ? Math.min(100, (100 * over) / job.total) : job.total === 0 ? 100 : 0;
      state.textContent = t(`state_${job.state}`);
      const colour = { done: job.refused ? "warn" : "good", failed: "bad" }[job.state];
      state.className = `tag${colour ? ` tag-${colour}` : ""}`;
      filledPart.style.width = `${part}%`;
      bar.classList.toggle("bar-reading", job.state === "running" && job.total === null);
      bar.setAttribute("aria-valuenow", String(Math.round(part)));
      bar.classList.toggle("bar-stopped", ["failed", "cancelled"].includes(job.state));
      const left = job.total !== null && job.per_second ? Math.ceil((job.total - over) / job.per_second) : null;
      progress.textContent = [
        job.total === null ? (job.state === "running" ? t("reading") : "") : t("of", { done: number(over), total: number(job.total) }),
        job.state === "running" && job.per_second ? t("speed", { speed: number(job.per_second) }) : "",
        job.state === "running" && left ? t("left", { time: left < 90 ? t("seconds", { count: left }) : t("minutes", { count: Math.ceil(left / 60) }) }) : "",
      ].filter(Boolean).join(t("comma"));
      came.replaceChildren(
        ...Object.entries(job.counts).map(([what, count]) => h("span", {}, t(`count_${what}`), " ", h("b", {}, number(count)))),
        ...(job.refused ? [h("span", { class: "job-refused" }, t("count_refused"), " ", h("b", {}, number(job.refused)))] : []),
      );
      errors.hidden = !job.refused;
      cancel.hidden = !RUNNING.includes(job.state);
      results.hidden = !["ingest", "rescreen"].includes(job.kind) || !job.done;
      tests.hidden = job.state !== "done";
      if (job.error) {
        error.textContent = job.error;
        error.hidden = false;
      }
    };
    return { element, show };
  };

  const found = async (below, id, after) => {
    if (!after) below.replaceChildren(h("p", { class: "muted" }, t("looking")));
    try {
      const page = await ask("GET", `/v1/jobs/${id}/conversations?limit=50&after=${after}`);
      if (!after) below.replaceChildren();
      below.querySelector("button")?.remove();
      if (!page.conversations.length && !below.children.length) {
        below.append(h("p", { class: "muted" }, t("clean")));
      }
      let table = below.querySelector("tbody");
      if (!table && page.conversations.length) {
        table = h("tbody");
        const titles = [t("level"), t("conversation"), t("vendor"), t("agent")].map((title) => h("th", { scope: "col" }, title));
        const waiting = h("th", { scope: "col", class: "num" }, t("waiting"));
        below.append(h("table", { class: "data" }, h("thead", {}, h("tr", {}, ...titles, waiting)), table));
      }
      for (const one of page.conversations) {
        const level = one.level ? h("span", { class: `level level-${one.level}` }, one.level) : h("span", { class: "tag tag-warn" }, t("incomplete"));
        const link = h("a", { href: `/console/?conversation=${encodeURIComponent(one.conversation_id)}` }, one.conversation_id);
        const cells = [level, link, one.vendor_id ?? "", one.agent_id ?? ""].map((content) => h("td", {}, content));
        table.append(h("tr", {}, ...cells, h("td", { class: "num" }, number(one.waiting))));
      }
      if (page.next !== null) {
        below.append(h("button", { type: "button", class: "plain", onclick: () => found(below, id, page.next) }, t("more")));
      }
    } catch (error) {
      below.replaceChildren(h("p", { class: "note note-bad", role: "alert" }, problem(error)));
    }
  };

  if (given.may_upload) uploading(root.querySelector("#job-upload"), given, t, problem, refresh);
  refresh();
});
