// Elements from data: every text goes in as a text node, so that nothing in a conversation can become markup.
"use strict";

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

let words = {};
export const setWords = (given) => (words = given);

export function t(key, places = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => places[name] ?? "");
}

export const level = (letter) => el("span", { class: `level level-${letter}`, title: t("level_is", { level: letter }) }, letter);
export const signal = (name) => words[`signal.${name}`] ?? name;
export const percent = (score) => `${Math.round(score * 100)}%`;

export function choice(options, value, change, properties = {}) {
  const made = el("select", { class: "field", ...properties, onchange: () => change(made.value) });
  for (const one of options) made.append(el("option", { value: one.value, selected: one.value === value }, one.text));
  return made;
}

// Buttons of which one is pressed.
export function segments(options, value, change, properties = {}) {
  const made = el("div", { class: "segmented", role: "group", ...properties });
  for (const one of options) {
    const pressed = one.value === value;
    made.append(
      el(
        "button",
        { type: "button", class: one.class ?? "", "aria-pressed": String(pressed), title: one.title, onclick: () => change(one.value) },
        one.text,
        one.key ? el("kbd", {}, one.key) : null,
      ),
    );
  }
  return made;
}

export function say(text) {
  document.getElementById("spoken").textContent = text;
}

export function notice(text, kind) {
  const stays = kind === "bad";
  Quasar.Notify.create({
    message: text,
    classes: `notice notice-${kind}`,
    position: "bottom",
    color: "none",
    textColor: "none",
    timeout: stays ? 8000 : 2500,
    actions: stays ? [{ label: "×", "aria-label": t("close"), textColor: "none" }] : [],
  });
}
