// What each chart shows: its title, its rows (what the CSV holds) and its ECharts option in the colours of the theme.
import { number } from "./dom.js";

const LEVELS = ["A", "B", "C"];
const MOST_RULES = 20;
const row = 24;

const text = (colours, more = {}) => ({ color: colours.muted, fontFamily: colours.font, fontSize: 12, ...more });
const base = (colours) => ({
  animation: false,
  textStyle: { fontFamily: colours.font, color: colours.text },
  tooltip: {
    trigger: "axis",
    axisPointer: { type: "shadow" },
    confine: true,
    renderMode: "richText", // no HTML: names come from conversations
    backgroundColor: colours.surface,
    borderColor: colours.line,
    textStyle: { color: colours.text, fontFamily: colours.font, fontSize: 13 },
  },
});
const categories = (colours, data, more = {}) => ({
  type: "category",
  data,
  axisTick: { show: false },
  axisLine: { lineStyle: { color: colours["line-strong"] } },
  ...more,
  axisLabel: text(colours, { color: colours.text, ...more.axisLabel }),
});
const values = (colours, more = {}) => ({
  type: "value",
  minInterval: 1,
  splitLine: { lineStyle: { color: colours.line } },
  ...more,
  axisLabel: text(colours, more.axisLabel),
});
const legend = (colours) => ({ top: 0, right: 0, itemWidth: 12, itemHeight: 10, itemGap: 16, textStyle: text(colours) });
const stacked = (colours, t, series) =>
  LEVELS.map((level) => ({
    name: t("level", { level }),
    type: "bar",
    stack: "levels",
    barMaxWidth: 26,
    itemStyle: { color: { A: colours.a, B: colours.b, C: colours["line-strong"] }[level] },
    data: series.map((one) => one.levels[level]),
  }));
const sum = (one) => LEVELS.reduce((total, level) => total + one.levels[level], 0);
const whose = (name, t) => (t(`of.${name}`) === `of.${name}` ? name : t(`of.${name}`)); // a profile's own limit
const percent = (share) => `${(100 * share).toFixed(1)}%`;

// Cards stand two in a row: one that would stand alone takes the whole row.
export const charts = (data, t) => {
  const made = all(data, t);
  const halves = made.filter((one) => !one.full);
  if (halves.length % 2) halves.at(-1).full = true;
  return made;
};

const all = (data, t) => [
  overTime(data.incidents, t),
  byClause(data.incidents, t),
  pareto("vendors", data.incidents.vendors, data.incidents.total, t, { empty: t("no_incidents"), key: "vendor", height: clauseHeight(data.incidents.clauses) }),
  pareto("agents", data.incidents.agents, data.incidents.total, t, {
    empty: t("no_incidents"),
    key: "agent",
    more: data.incidents.agent_count > data.incidents.agents.length ? t("top", { shown: data.incidents.agents.length, count: number(data.incidents.agent_count) }) : "",
  }),
  heat(data.incidents, t),
  confirmation(data.precision, data.since, t),
  ...data.service.responses.map((one) => response(one, t)),
  rates(data.service.rates, t),
];

const overTime = (incidents, t) => ({
  name: "incidents_by_day",
  title: t("by_day"),
  note: `n=${number(incidents.total)}`,
  empty: t("no_incidents"),
  full: true,
  height: 240,
  columns: [t("day"), ...LEVELS.map((level) => t("level", { level }))],
  rows: incidents.total ? incidents.days.map((day) => [day.day, ...LEVELS.map((level) => day.levels[level])]) : [],
  option: (colours) => ({
    ...base(colours),
    legend: legend(colours),
    grid: { left: 44, right: 8, top: 32, bottom: 26 },
    xAxis: categories(colours, incidents.days.map((day) => day.day.slice(5)), { axisLabel: { hideOverlap: true } }),
    yAxis: values(colours),
    series: stacked(colours, t, incidents.days),
  }),
});

const clauseHeight = (clauses) => Math.max(280, 52 + row * clauses.length);

const byClause = (incidents, t) => {
  const list = incidents.clauses;
  const name = (one) => one.title ?? one.name;
  return {
    name: "incidents_by_clause",
    title: t("by_clause"),
    note: `n=${number(incidents.total)}`,
    empty: t("no_incidents"),
    height: clauseHeight(list),
    columns: [t("standard"), t("clause"), t("title"), ...LEVELS.map((level) => t("level", { level }))],
    rows: list.map((one) => [one.standard, one.name, one.title, ...LEVELS.map((level) => one.levels[level])]),
    option: (colours) => ({
      ...base(colours),
      legend: legend(colours),
      grid: { left: 8, right: 36, top: 30, bottom: 4, containLabel: true },
      xAxis: values(colours),
      yAxis: categories(colours, list.map(name), { inverse: true, axisLabel: { width: 150, overflow: "truncate" } }),
      series: stacked(colours, t, list),
    }),
  };
};

const pareto = (name, list, total, t, { empty, key, more, height = 280 }) => {
  let run = 0;
  const shares = list.map((one) => {
    run += sum(one);
    return total ? run / total : 0;
  });
  return {
    name: `incidents_by_${key}`,
    title: t(`by_${key}`),
    note: [`n=${number(total)}`, more].filter(Boolean).join(t("comma")),
    empty,
    height,
    columns: [t(key), ...LEVELS.map((level) => t("level", { level })), t("cumulative")],
    rows: list.map((one, i) => [one.name ?? t("unknown"), ...LEVELS.map((level) => one.levels[level]), percent(shares[i])]),
    pick: (event) => (list[event.dataIndex]?.name ? { [key]: list[event.dataIndex].name } : null),
    option: (colours) => ({
      ...base(colours),
      legend: legend(colours),
      grid: { left: 44, right: 46, top: 34, bottom: 40 },
      xAxis: categories(colours, list.map((one) => one.name ?? t("unknown")), { axisLabel: { rotate: list.length > 10 ? 40 : 0, width: 72, overflow: "truncate", interval: 0 } }),
      yAxis: [values(colours), values(colours, { min: 0, max: 1, minInterval: 0, splitLine: { show: false }, axisLabel: { formatter: (share) => `${Math.round(100 * share)}%` } })],
      series: [
        ...stacked(colours, t, list),
        { name: t("cumulative"), type: "line", yAxisIndex: 1, data: shares, symbolSize: 5, itemStyle: { color: colours.accent }, lineStyle: { color: colours.accent, width: 1.5 }, tooltip: { valueFormatter: percent } },
      ],
    }),
  };
};

const heat = (incidents, t) => {
  const days = [0, 1, 2, 3, 4, 5, 6].map((day) => t(`weekday_${day}`));
  const cells = incidents.hours.flatMap((counts, day) => counts.map((count, hour) => [hour, day, count]));
  return {
    name: "incidents_by_hour",
    title: t("by_hour"),
    note: `n=${number(incidents.total)}`,
    empty: t("no_incidents"),
    height: 280,
    columns: [t("weekday"), ...Array.from({ length: 24 }, (_, hour) => `${hour}`)],
    rows: incidents.total ? incidents.hours.map((counts, day) => [days[day], ...counts]) : [],
    option: (colours) => ({
      ...base(colours),
      tooltip: { ...base(colours).tooltip, trigger: "item", formatter: ({ value }) => t("at_hour", { day: days[value[1]], hour: value[0], count: number(value[2]) }) },
      grid: { left: 48, right: 8, top: 10, bottom: 62 },
      xAxis: categories(colours, Array.from({ length: 24 }, (_, hour) => String(hour)), { axisLabel: { interval: 1 } }),
      yAxis: categories(colours, days, { inverse: true }),
      visualMap: { min: 0, max: Math.max(1, ...cells.map((cell) => cell[2])), calculable: false, orient: "horizontal", left: "center", bottom: 0, itemHeight: 120, itemWidth: 10, textStyle: text(colours), inRange: { color: [colours.sunken, colours.accent] } },
      series: [{ type: "heatmap", data: cells, itemStyle: { borderColor: colours.surface, borderWidth: 2, borderRadius: 2 } }],
    }),
  };
};

const confirmation = (judged, since, t) => {
  const list = judged.filter((one) => one.confirmed + one.rejected > 0).slice(0, MOST_RULES);
  const total = judged.reduce((count, one) => count + one.confirmed + one.rejected, 0);
  const name = (one) => `${one.id} v${one.version}`;
  return {
    name: "confirmation",
    title: t("confirmation"),
    note: [t("decided_since", { since }), `n=${number(total)}`, t("wilson"), judged.length > list.length ? t("top", { shown: list.length, count: judged.length }) : ""].filter(Boolean).join(t("comma")),
    empty: t("no_decisions"),
    full: true,
    height: Math.max(230, 44 + row * list.length),
    columns: [t("source"), t("rule"), t("version"), t("signal"), t("confirmed_count"), t("rejected_count"), t("unsure_count"), t("precision"), t("low"), t("high")],
    rows: judged.map((one) => [one.source, one.id, one.version, one.signal, one.confirmed, one.rejected, one.unsure, one.precision, one.low, one.high]),
    option: (colours) => ({
      ...base(colours),
      tooltip: {
        ...base(colours).tooltip,
        formatter: ([{ dataIndex }]) => {
          const one = list[dataIndex];
          return [name(one), t(`signal.${one.signal}`), t("confirmed_of", { confirmed: one.confirmed, judged: one.confirmed + one.rejected, share: percent(one.precision) }), t("between", { low: percent(one.low), high: percent(one.high) })].join("\n");
        },
      },
      grid: { left: 8, right: 120, top: 8, bottom: 4, containLabel: true },
      xAxis: values(colours, { min: 0, max: 1, minInterval: 0, axisLabel: { formatter: (share) => `${Math.round(100 * share)}%` } }),
      yAxis: categories(colours, list.map(name), { inverse: true, axisLabel: { width: 190, overflow: "truncate" } }),
      series: [
        {
          type: "custom",
          data: list.map((one, i) => [i, one.low, one.high]),
          renderItem: (params, api) => {
            const one = list[params.dataIndex];
            const [from, y] = api.coord([one.low, params.dataIndex]);
            const [to] = api.coord([one.high, params.dataIndex]);
            const right = params.coordSys.x + params.coordSys.width + 14;
            const said = `${percent(one.precision)} (n=${number(one.confirmed + one.rejected)})`;
            return {
              type: "group",
              children: [
                { type: "rect", shape: { x: from, y: y - 4, width: to - from, height: 8, r: 4 }, style: { fill: colours.accent, opacity: 0.28 } },
                { type: "text", style: { text: said, x: right, y, fill: colours.muted, font: `12px ${colours.font}`, verticalAlign: "middle" } },
              ],
            };
          },
          encode: { x: [1, 2], y: 0 },
          clip: false,
        },
        {
          type: "scatter",
          data: list.map((one, i) => [one.precision, i]),
          symbolSize: 9,
          itemStyle: { color: colours.accent },
        },
      ],
    }),
  };
};

const response = (one, t) => {
  const span = (i) => (i + 1 < one.edges.length ? range(one.edges[i], one.edges[i + 1], t) : t("beyond", { from: duration(one.edges[i], t) }));
  const least = Math.min(...one.limits.map((limit) => limit.value));
  const over = one.limits.map((limit) => t("over_limit", { value: duration(limit.value, t), source: whose(limit.source, t), share: percent(limit.over / one.total) }));
  return {
    name: `${one.signal.replace(".", "_")}_${one.channel}`,
    title: t("response_title", { what: t(one.signal.replace(".", "_")), channel: t(`channel_${one.channel}`) }),
    note: [`n=${number(one.total)}`, ...(over.length ? over : [t("no_limit")])].join(t("comma")),
    empty: t("no_times"),
    height: 230,
    columns: [t("seconds_from"), t("seconds_to"), t("conversations")],
    rows: one.counts.map((count, i) => [one.edges[i], one.edges[i + 1] ?? "", count]),
    option: (colours) => ({
      ...base(colours),
      grid: { left: 44, right: 8, top: 14, bottom: 48 },
      xAxis: categories(colours, one.counts.map((_, i) => span(i)), { axisLabel: { interval: 0, rotate: 30, fontSize: 11 } }),
      yAxis: values(colours),
      series: [
        {
          name: t("conversations"),
          type: "bar",
          barCategoryGap: "12%",
          data: one.counts.map((count, i) => ({ value: count, itemStyle: { color: one.edges[i] >= least ? colours.b : colours.accent } })),
        },
      ],
    }),
  };
};

const unit = (seconds) => (seconds < 60 ? 1 : seconds < 3600 ? 60 : 3600);
const range = (from, to, t) => (unit(from) === unit(to) || from === 0 ? `${from / unit(to)}–${duration(to, t)}` : `${duration(from, t)}–${duration(to, t)}`);
const duration = (seconds, t) => (seconds < 60 ? t("seconds", { count: seconds }) : seconds < 3600 ? t("minutes", { count: seconds / 60 }) : t("hours", { count: seconds / 3600 }));

const rates = (list, t) => {
  const measured = list.filter((one) => one.total);
  const name = (one) => [t(`measure_${one.measure}`), one.channel ? t(`channel_${one.channel}`) : t("all_channels")].join(t("comma"));
  return {
    name: "rates",
    title: t("rates"),
    note: t("rates_note"),
    empty: t("no_rates"),
    full: true,
    height: 44 + 44 * measured.length,
    columns: [t("measure"), t("channel"), t("standard"), t("ledger_rule"), t("target"), t("hits"), t("conversations"), t("share"), t("low"), t("high")],
    rows: measured.length ? list.map((one) => [one.measure, one.channel, one.standard, one.title, one.target, one.hits, one.total, one.share, one.low, one.high]) : [],
    option: (colours) => ({
      ...base(colours),
      tooltip: {
        ...base(colours).tooltip,
        formatter: ([{ dataIndex }]) => {
          const one = measured[dataIndex];
          return [one.title, t("confirmed_of", { confirmed: one.hits, judged: one.total, share: `${one.share.toFixed(1)}%` }), t("between", { low: `${one.low.toFixed(1)}%`, high: `${one.high.toFixed(1)}%` })].join("\n");
        },
      },
      grid: { left: 8, right: 220, top: 6, bottom: 4, containLabel: true },
      xAxis: values(colours, { min: 0, max: 100, axisLabel: { formatter: "{value}%" } }),
      yAxis: categories(colours, measured.map((one) => `${name(one)}\n{who|${whose(one.standard, t)}}`), { inverse: true, axisLabel: { lineHeight: 17, rich: { who: text(colours, { fontSize: 11, lineHeight: 15 }) } } }),
      series: [
        {
          type: "bar",
          barWidth: 14,
          data: measured.map((one) => ({ value: one.share, itemStyle: { color: one.share >= one.target ? colours.good : colours.a } })),
        },
        {
          type: "custom",
          data: measured.map((one, i) => [i, one.target, one.share]),
          renderItem: (params, api) => {
            const one = measured[params.dataIndex];
            const [x, y] = api.coord([one.target, params.dataIndex]);
            const right = params.coordSys.x + params.coordSys.width + 14;
            const said = t(one.share >= one.target ? "met" : "missed", { share: `${one.share.toFixed(1)}%`, target: `${one.target}%`, n: number(one.total) });
            return {
              type: "group",
              children: [
                { type: "rect", shape: { x: x - 1.25, y: y - 13, width: 2.5, height: 26 }, style: { fill: colours.text } },
                { type: "text", style: { text: said, x: right, y, fill: colours.text, font: `13px ${colours.font}`, textVerticalAlign: "middle", verticalAlign: "middle" } },
              ],
            };
          },
          encode: { x: 1, y: 0 },
          clip: false,
        },
      ],
    }),
  };
};
