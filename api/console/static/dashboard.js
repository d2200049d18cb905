// The dashboard: asks the statistics for what the address says and shows one card a chart. The options stand in dashboard_charts.js.
import { charts } from "./dashboard_charts.js";
import { ask, filled, h, number, whenThere } from "./dom.js";

const KEYS = ["since", "until", "channel", "state", "vendor", "agent"];
const DAY = 86400000;
const iso = (at) => new Date(at).toISOString().slice(0, 10);

whenThere("#dashboard", async (root, given) => {
  const { echarts } = await import("nicegui-echart");
  const t = filled(given.words);
  const form = root.querySelector("#filters");
  const place = root.querySelector("#charts");
  const warning = root.querySelector("#problem");
  const shown = []; // {element, chart, made}
  let turn = 0;

  const asked = () => {
    const address = new URLSearchParams(location.search);
    const found = Object.fromEntries(KEYS.map((key) => [key, address.get(key) ?? ""]));
    return { ...found, since: found.since || given.since, until: found.until || given.until, state: found.state || "found" };
  };

  const go = (changes) => {
    const now = { ...asked(), ...changes };
    const address = new URLSearchParams(Object.entries(now).filter(([key, value]) => value && !(key === "state" && value === "found")));
    history.pushState(null, "", `?${address}`);
    load();
  };

  const fill = (now) => {
    for (const key of KEYS) if (document.activeElement !== form.elements[key]) form.elements[key].value = now[key];
    for (const button of form.querySelectorAll("[data-days]")) {
      const days = (Date.parse(now.until) - Date.parse(now.since)) / DAY + 1;
      button.setAttribute("aria-pressed", String(days === Number(button.dataset.days)));
    }
  };

  const problem = (error) => {
    const said = given.words[`error.${error.code}`] ?? t("error.other");
    warning.textContent = error.message ? `${said} (${error.message})` : said;
    warning.hidden = false;
  };

  const load = async () => {
    const mine = ++turn;
    const now = asked();
    fill(now);
    place.setAttribute("aria-busy", "true");
    const query = new URLSearchParams(Object.entries(now).filter(([, value]) => value));
    try {
      const [incidents, service] = await Promise.all([ask("GET", `/v1/statistics/incidents?${query}`), ask("GET", `/v1/statistics/service?${query}`)]);
      const judged = new URLSearchParams({ decided_from: incidents.since, ...(now.vendor ? { vendor: now.vendor } : {}) });
      const precision = await ask("GET", `/v1/statistics/precision?${judged}`);
      if (mine !== turn) return; // a later question is under way
      warning.hidden = true;
      draw(now, { incidents, service, precision: precision.items, since: now.since });
    } catch (error) {
      if (mine === turn) problem(error);
    }
    place.setAttribute("aria-busy", "false");
  };

  const clear = () => {
    for (const one of shown.splice(0)) one.chart.dispose();
  };

  const draw = (now, data) => {
    clear();
    const conversations = Math.max(0, ...data.service.responses.map((one) => one.total), ...data.service.rates.map((one) => one.total));
    if (!data.incidents.total && !conversations && !data.precision.length) {
      const back = h("button", { type: "button", class: "plain", onclick: () => go({ since: given.since, until: given.until, channel: "", vendor: "", agent: "", state: "" }) }, t("show_latest"));
      place.replaceChildren(h("div", { class: "empty", role: "status" }, h("h2", {}, t("none")), h("p", {}, t("none_text", { since: now.since, until: now.until })), back));
      return;
    }
    place.replaceChildren(figures(data));
    for (const made of charts(data, t)) {
      const element = h("div", { class: "chart", role: "img", "aria-label": `${made.title}. ${made.note}`, style: `height:${made.height}px` });
      const buttons = [
        h("button", { type: "button", class: "quiet", "aria-label": `${made.title} CSV`, onclick: () => csv(made, now) }, "CSV"),
        h("button", { type: "button", class: "quiet", "aria-label": `${made.title} PNG`, onclick: () => png(made, now) }, "PNG"),
      ];
      const head = h("header", {}, h("h2", {}, made.title), h("span", { class: "muted" }, made.note), ...(made.rows.length ? buttons : []));
      const card = h("section", { class: `panel card${made.full ? " card-full" : ""}`, "data-chart": made.name }, head);
      place.append(card);
      if (!made.rows.length) {
        card.append(h("div", { class: "empty", role: "status" }, h("p", {}, made.empty)));
        continue;
      }
      card.append(element);
      const chart = echarts.init(element, null, { renderer: "canvas" });
      chart.setOption(made.option(colours()));
      if (made.pick) chart.on("click", (event) => made.pick(event) && go(made.pick(event)));
      shown.push({ chart, made });
    }
    const names = (list) => list.filter((one) => one.name).map((one) => h("option", { value: one.name }));
    root.querySelector("#vendors").replaceChildren(...names(data.incidents.vendors));
    root.querySelector("#agents").replaceChildren(...names(data.incidents.agents));
  };

  const figures = (data) => {
    const levels = { A: 0, B: 0, C: 0 };
    for (const day of data.incidents.days) for (const level of Object.keys(levels)) levels[level] += day.levels[level];
    const decided = data.precision.reduce((sum, one) => sum + one.confirmed + one.rejected, 0);
    const confirmed = data.precision.reduce((sum, one) => sum + one.confirmed, 0);
    const one = (name, value, more) => h("div", {}, h("dt", {}, name), h("dd", {}, value, more ? h("small", {}, more) : null));
    return h(
      "dl",
      { class: "panel figures" },
      one(t("incidents"), number(data.incidents.total)),
      ...Object.entries(levels).map(([level, count]) => one(t("level", { level }), number(count))),
      one(t("agents_hit"), number(data.incidents.agent_count)),
      one(t("confirmed"), decided ? `${((100 * confirmed) / decided).toFixed(1)}%` : t("no_figure"), decided ? `n=${number(decided)}` : ""),
    );
  };

  // canvas knows no CSS variables: an element takes each colour on and tells what it is
  const colours = () => {
    const probe = h("span", { hidden: true });
    document.body.append(probe);
    const names = ["a", "b", "c", "accent", "accent-soft", "text", "muted", "line", "surface", "good", "sunken", "line-strong"];
    const found = Object.fromEntries(
      names.map((name) => {
        probe.style.color = `var(--${name})`;
        return [name, getComputedStyle(probe).color];
      }),
    );
    probe.remove();
    return { ...found, font: getComputedStyle(document.body).fontFamily };
  };

  const save = (blob, name) => {
    const link = h("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const named = (made, now, suffix) => `${made.name}_${now.since}_${now.until}.${suffix}`;

  const csv = (made, now) => {
    const cell = (value) => {
      const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const lines = [made.columns, ...made.rows].map((row) => row.map(cell).join(","));
    save(new Blob(["\ufeff", lines.join("\r\n"), "\r\n"], { type: "text/csv" }), named(made, now, "csv"));
  };

  const png = (made, now) => {
    const { chart } = shown.find((one) => one.made === made);
    const url = chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: colours().surface });
    const bytes = Uint8Array.from(atob(url.split(",")[1]), (char) => char.charCodeAt(0));
    save(new Blob([bytes], { type: "image/png" }), named(made, now, "png"));
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (KEYS.includes(name) && event.target.checkValidity()) go({ [name]: value.trim() });
  });
  form.addEventListener("click", (event) => {
    const days = event.target.dataset?.days;
    if (days) go({ since: iso(Date.parse(asked().until) - (days - 1) * DAY) });
    if (event.target.id === "clear") go({ since: given.since, until: given.until, channel: "", vendor: "", agent: "", state: "" });
  });
  const again = () => shown.forEach(({ chart, made }) => chart.setOption(made.option(colours()), true));
  document.addEventListener("console-theme", () => requestAnimationFrame(again));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("resize", () => shown.forEach(({ chart }) => chart.resize()));
  addEventListener("popstate", load);
  load();
});
