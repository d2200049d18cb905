// What every page of the console shares: login, logout, language, theme, the state of the connection.
"use strict";
(() => {
  const YEAR = 31536000;
  const keep = (name, value) => {
    document.cookie = `${name}=${value}; path=/console; max-age=${YEAR}; samesite=strict`;
  };

  const post = (path, body) =>
    fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });

  const actions = {
    language: (button) => {
      keep("console_language", button.dataset.language);
      location.reload();
    },
    theme: (button) => {
      const order = ["auto", "light", "dark"];
      const next = order[(order.indexOf(button.dataset.themeNow) + 1) % order.length];
      keep("console_theme", next);
      button.dataset.themeNow = next;
      button.textContent = button.dataset.labels.split("|")[order.indexOf(next)];
      document.documentElement.style.colorScheme = next === "auto" ? "light dark" : next;
      Quasar.Dark.set(next === "auto" ? "auto" : next === "dark");
      document.dispatchEvent(new CustomEvent("console-theme"));
    },
    logout: async () => {
      await post("/v1/logout");
      sessionStorage.clear();
      location.href = "/console/login";
    },
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (button && actions[button.dataset.do]) actions[button.dataset.do](button);
  });

  const form = document.getElementById("login");
  form?.addEventListener("submit", async (event) => {
    event.preventDefault();
    const problem = form.querySelector(".login-problem");
    const button = form.querySelector("button");
    button.disabled = true;
    problem.hidden = true;
    try {
      const answer = await post("/v1/login", { name: form.elements.name.value, password: form.elements.password.value });
      if (answer.ok) {
        location.href = form.dataset.next;
        return;
      }
      problem.textContent = answer.status === 429 ? form.dataset.throttled : form.dataset.failed;
    } catch {
      problem.textContent = form.dataset.unreachable;
    }
    problem.hidden = false;
    button.disabled = false;
    form.elements.password.select();
  });

  // NiceGUI's own notice covers the page; ours stands in the header, so that one can go on reading and typing
  const watch = () => {
    if (!window.socket) return void setTimeout(watch, 50);
    const state = document.getElementById("link-state");
    window.socket.on("disconnect", () => (state.hidden = false));
    window.socket.on("connect", () => (state.hidden = true));
  };
  if (!form) watch();
})();
