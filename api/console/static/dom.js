// Small helpers for pages that draw themselves: elements without HTML strings, requests to the service, formats.
export const h = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false));
  return made;
};

export const filled = (words) => (key, places = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => places[name] ?? whole);

// The page is drawn by NiceGUI after the scripts are loaded.
export const whenThere = (selector, start) => {
  const look = () => {
    const found = document.querySelector(selector);
    if (found) start(found, JSON.parse(found.dataset.given));
    else setTimeout(look, 30);
  };
  look();
};

export class Problem extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

export const answerOf = (status, text) => {
  let body = null;
  try {
    body = text ? JSON.parse(text) : null;
  } catch {
    body = null;
  }
  if (status >= 200 && status < 300) return body;
  if (status === 401) location.href = `/console/login?next=${encodeURIComponent(location.pathname)}`;
  throw new Problem(body?.error?.code ?? "other", body?.error?.message ?? `HTTP ${status}`, status);
};

export const ask = async (method, path, body) => {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Problem("unreachable", "");
  }
  return answerOf(answer.status, await answer.text());
};

export const number = (value) => value.toLocaleString("en-US");

export const bytes = (size) => {
  const units = ["B", "KB", "MB", "GB"];
  let place = 0;
  while (size >= 1024 && place < 3) {
    size /= 1024;
    place += 1;
  }
  return `${place && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[place]}`;
};

const two = (value) => String(value).padStart(2, "0");
export const moment = (iso) => {
  const at = new Date(iso);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
};
