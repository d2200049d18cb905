// Upload and preview: the file goes to the service once, is looked at, mapped where needed, and then started.
import { answerOf, ask, bytes, h, Problem } from "./dom.js";

const FIELDS = {
  messages: ["id", "role", "text", "at", "channel", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "ended_by", "kind", "ends_at"],
  conversations: ["id", "turns", "channel", "vendor_id", "agent_id", "customer_id", "started_at", "ended_at", "ended_by"],
};
const REQUIRED = { messages: ["id", "role", "text"], conversations: ["id", "turns"] };
const ATTRIBUTES = ["rating", "solved", "answered", "queue_seconds", "loss_yuan", "transferred_to", "entry_errors"];
const text = (value) => JSON.stringify(value).replaceAll("\u007f", "\\u007f"); // also a TOML string

export const uploading = (place, given, t, problem, started) => {
  let upload = null;
  let chosen = null; // what the person set: null is what the service chose

  const drop = () => {
    upload = null;
    chosen = null;
    const input = h("input", { type: "file", id: "job-file", class: "visually-hidden", accept: given.suffixes.join(",") });
    input.addEventListener("change", () => input.files.length && send(input.files[0]));
    const zone = h(
      "div",
      { class: "drop" },
      h("p", { class: "drop-lead" }, t("drop"), " ", h("label", { for: "job-file", class: "plain" }, t("choose"))),
      input,
      h("p", { class: "muted small" }, t("formats", { size: bytes(given.limit) })),
    );
    for (const name of ["dragenter", "dragover"]) {
      zone.addEventListener(name, (event) => {
        event.preventDefault();
        zone.classList.add("drop-over");
      });
    }
    zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || zone.classList.remove("drop-over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      zone.classList.remove("drop-over");
      const files = event.dataTransfer.files;
      if (files.length > 1) return refuse(t("one_file"));
      if (files.length) send(files[0]);
    });
    place.replaceChildren(zone);
  };

  const refuse = (message) => {
    if (!place.querySelector(".drop")) drop();
    place.querySelector(".note")?.remove();
    place.append(h("p", { class: "note note-bad", role: "alert" }, message));
  };

  const send = (file) => {
    if (file.size > given.limit) return refuse(t("too_large", { name: file.name, size: bytes(file.size), limit: bytes(given.limit) }));
    if (!file.size) return refuse(t("empty_file", { name: file.name }));
    const filledPart = h("i");
    const share = h("span", { class: "muted" });
    const request = new XMLHttpRequest();
    const bar = h("div", { class: "bar", role: "progressbar", "aria-label": file.name, "aria-valuemin": 0, "aria-valuemax": 100 }, filledPart);
    const stop = h("button", { type: "button", class: "quiet", onclick: () => request.abort() }, t("cancel"));
    place.replaceChildren(h("div", { class: "sending" }, h("div", { class: "row-line" }, h("b", {}, file.name), share, stop), bar));
    request.upload.addEventListener("progress", (event) => {
      const part = Math.round((100 * event.loaded) / event.total);
      filledPart.style.width = `${part}%`;
      bar.setAttribute("aria-valuenow", String(part));
      share.textContent = part < 100 ? t("sent", { done: bytes(event.loaded), total: bytes(event.total) }) : t("checking");
    });
    request.addEventListener("abort", drop);
    request.addEventListener("error", () => refuse(problem(new Problem("unreachable", ""))));
    request.addEventListener("load", async () => {
      try {
        upload = answerOf(request.status, request.responseText);
        await look();
      } catch (error) {
        refuse(problem(error));
      }
    });
    const form = new FormData();
    form.append("file", file, file.name);
    request.open("POST", "/v1/jobs/uploads");
    request.send(form);
  };

  const reading = () => ({
    name: upload.name,
    format: chosen?.format,
    columns: chosen?.columns === undefined ? undefined : chosen.columns,
    roles: chosen?.roles,
    assemble: chosen?.assemble ?? false,
  });

  const look = async (focus) => {
    try {
      show(await ask("POST", `/v1/jobs/uploads/${upload.upload}/preview`, reading()));
    } catch (error) {
      if (error.status === 422 && !chosen?.format && /format/.test(error.message)) show(null, t("which_format"));
      else if (place.querySelector(".preview")) return mark(problem(error));
      else return refuse(problem(error));
    }
    if (focus) document.getElementById(focus)?.focus();
  };

  const mark = (message) => {
    const note = place.querySelector(".preview-problem");
    note.textContent = message;
    note.hidden = false;
    place.querySelector(".start").disabled = true;
  };

  const set = (changes, focus) => {
    chosen = { ...chosen, ...changes };
    look(focus);
  };

  const select = (id, label, options, value, changed, required) =>
    h(
      "label",
      { class: `pick${required && !value ? " pick-missing" : ""}`, for: id },
      h("span", {}, label, required ? h("b", { title: t("required") }, " *") : null),
      (() => {
        const made = h("select", { id, class: "field" }, ...options.map(([key, name]) => h("option", { value: key }, name)));
        made.value = value ?? "";
        made.addEventListener("change", () => changed(made.value));
        return made;
      })(),
    );

  const profile = (shown, changes) => {
    const now = {
      shape: shown.shape ?? "messages",
      header: shown.header,
      sheet: shown.sheet,
      fields: shown.fields,
      attributes: shown.attributes,
      roles: shown.roles,
      ...changes,
    };
    const column = (title) => (now.header ? text(title) : title);
    const lines = [`shape = ${text(now.shape)}`, `header = ${now.header}`];
    if (now.sheet) lines.push(`sheet = ${text(now.sheet)}`);
    lines.push("[columns]");
    for (const field of FIELDS[now.shape]) {
      const wanted = now.fields[field] || (REQUIRED[now.shape].includes(field) ? t("not_chosen") : "");
      if (wanted) lines.push(`${field} = [${column(now.header || now.fields[field] ? wanted : shown.titles.length + 1)}]`);
    }
    lines.push("[attributes]", ...Object.entries(now.attributes).filter(([, title]) => title).map(([name, title]) => `${name} = [${column(title)}]`));
    lines.push("[roles]", ...Object.entries(now.roles).filter(([, words]) => words.length).map(([role, words]) => `${role} = [${words.map(text)}]`));
    return lines.join("\n");
  };

  const mapping = (shown) => {
    const shape = shown.shape ?? chosen?.shape ?? "messages";
    const columns = [["", t("no_column")], ...shown.titles.map((title, i) => [title, shown.header ? title || String(i + 1) : t("nth", { n: title })])];
    const change = (changes, focus) => set({ columns: profile({ ...shown, shape }, changes), shape: changes.shape ?? shape }, focus);
    const fields = FIELDS[shape].map((field) =>
      select(`map-${field}`, t(`field_${field}`), columns, shown.fields[field], (title) => change({ fields: { ...shown.fields, [field]: title } }, `map-${field}`), REQUIRED[shape].includes(field)),
    );
    const attributes = ATTRIBUTES.map((name) =>
      select(`map-${name}`, t(`field_${name}`), columns, shown.attributes[name], (title) => change({ attributes: { ...shown.attributes, [name]: title } }, `map-${name}`)),
    );
    const words = (role) => {
      const input = h("input", { id: `role-${role}`, class: "field", value: (shown.roles[role] ?? []).join("，"), placeholder: t("role_words") });
      input.addEventListener("change", () => change({ roles: { ...shown.roles, [role]: input.value.split(/[,，、\s]+/).filter(Boolean) } }, `role-${role}`));
      return h("label", { class: "pick", for: `role-${role}` }, h("span", {}, t(`role_${role}`)), input);
    };
    const general = [
      select("map-shape", t("shape"), ["messages", "conversations"].map((one) => [one, t(`shape_${one}`)]), shape, (value) => change({ shape: value, fields: {} }, "map-shape")),
      select("map-header", t("header"), [["true", t("header_yes")], ["false", t("header_no")]], String(shown.header), (value) => change({ header: value === "true", fields: {}, attributes: {} }, "map-header")),
    ];
    if (shown.sheets.length > 1) {
      general.push(select("map-sheet", t("sheet"), shown.sheets.map((name) => [name, name]), shown.sheet ?? shown.sheets[0], (value) => change({ sheet: value }, "map-sheet")));
    }
    if (shape === "messages") {
      general.push(select("map-assemble", t("order"), [["false", t("order_together")], ["true", t("order_scattered")]], String(chosen?.assemble ?? false), (value) => set({ assemble: value === "true" }, "map-assemble")));
    }
    return h(
      "div",
      { class: "mapping" },
      h("h3", {}, t("mapping")),
      h("p", { class: "muted small" }, shown.ready ? t("mapped_ready") : chosen?.columns ? t("mapped_own") : t("mapped_none")),
      h("div", { class: "picks" }, ...general, ...fields),
      h("details", { open: chosen?.columns && Object.keys(shown.attributes).length > 0 }, h("summary", {}, t("more_fields")), h("div", { class: "picks" }, ...attributes, ...(shape === "messages" ? ["agent", "customer", "bot", "system"].map(words) : []))),
    );
  };

  const table = (shown) => {
    const names = Object.fromEntries([...Object.entries(shown.fields), ...Object.entries(shown.attributes)].map(([field, title]) => [title, t(`field_${field}`)]));
    return h(
      "div",
      { class: "preview-rows", tabindex: 0, role: "region", "aria-label": t("first_rows") },
      h(
        "table",
        { class: "data" },
        h("thead", {}, h("tr", {}, ...shown.titles.map((title) => h("th", { scope: "col" }, title || " ", names[title] ? h("span", { class: "tag tag-good" }, names[title]) : h("span", { class: "tag" }, t("kept")))))),
        h("tbody", {}, ...shown.rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))),
      ),
    );
  };

  const conversation = (one) =>
    h(
      "article",
      { class: "sample" },
      h("h4", {}, one.id, h("small", { class: "muted" }, [t(`channel_${one.channel}`), one.agent_id, one.vendor_id, one.started_at?.slice(0, 16).replace("T", " ")].filter(Boolean).join("，"))),
      ...one.turns.map(([role, words]) => h("p", { class: `said said-${role}` }, h("span", { class: "muted" }, t(`role_${role}`)), h("span", {}, words))),
      one.turn_count > one.turns.length ? h("p", { class: "muted small" }, t("more_turns", { count: one.turn_count - one.turns.length })) : null,
    );

  const show = (shown, asked) => {
    const start = h("button", { type: "button", class: "primary start", onclick: () => begin(start) }, t("start"));
    const away = h("button", { type: "button", class: "plain", onclick: () => discard() }, t("discard"));
    const formats = [["", t("by_suffix")], ...given.formats.map((one) => [one, t(`format_${one}`)])];
    const format = select("map-format", t("format"), formats, chosen?.format ?? shown?.format ?? "", (value) => set({ format: value || undefined, columns: undefined }, "map-format"));
    const missing = shown?.problem && shown.titles.length ? REQUIRED[shown.shape ?? "messages"].filter((field) => !shown.fields[field]) : [];
    const listed = (names) => names.join(t("comma"));
    const said = missing.length ? t("missing_columns", { fields: listed(missing.map((field) => t(`field_${field}`))), titles: listed(shown.titles) }) : shown?.problem;
    const note = h("p", { class: "note note-bad preview-problem", role: "alert", hidden: !(asked || said) }, asked ?? said ?? "");
    start.disabled = !shown || Boolean(shown.problem);
    place.replaceChildren(
      h(
        "div",
        { class: "preview" },
        h("div", { class: "row-line preview-head" }, h("h2", {}, upload.name), h("span", { class: "muted" }, bytes(upload.size)), format, h("span", { class: "spread" }), away, start),
        note,
        h(
          "div",
          { class: shown?.titles.length ? "preview-body" : "" },
          shown?.titles.length ? mapping(shown) : null,
          shown && !shown.problem
            ? h("div", { class: "samples" }, h("h3", {}, t("first_conversations")), ...shown.conversations.map(conversation), ...shown.refused.map((one) => h("p", { class: "note note-bad" }, t("would_refuse", { row: one.row, message: one.message }))))
            : null,
        ),
        shown?.titles.length ? h("h3", {}, t("first_rows")) : null,
        shown?.titles.length ? table(shown) : null,
      ),
    );
  };

  const begin = async (button) => {
    button.disabled = true;
    try {
      await ask("POST", `/v1/jobs/uploads/${upload.upload}/start`, reading());
      drop();
      started();
    } catch (error) {
      mark(problem(error));
    }
  };

  const discard = async () => {
    const name = upload.upload;
    drop();
    await ask("DELETE", `/v1/jobs/uploads/${name}`).catch(() => null); // it goes by itself after a day
  };

  drop();
};
