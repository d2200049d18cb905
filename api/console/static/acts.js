// Server-drawn pages: buttons and forms with data-act send it to the page's handlers (api/console/live.py).
"use strict";
(() => {
  const KEEP = "kept:" + location.pathname + location.search;

  const values = (form) => {
    const given = {};
    for (const field of form.elements) {
      if (!field.name || field.disabled) continue;
      if (field.dataset.many !== undefined) {
        given[field.name] ??= [];
        if (field.checked) given[field.name].push(field.value);
      } else if (field.type === "checkbox") given[field.name] = field.checked ? "yes" : "";
      else if (field.type !== "radio" || field.checked) given[field.name] = field.value;
    }
    return given;
  };

  const send = (name, given, button) => {
    if (button) {
      button.disabled = true;
      button.dataset.busy = name;
    }
    emitEvent("act", { name, given });
  };
  window.actDone = (name) => {
    for (const button of document.querySelectorAll(`[data-busy="${name}"]`)) {
      button.disabled = false;
      delete button.dataset.busy;
    }
  };

  // Asked again before it is done: a dialog of the page's own, in the visitor's words
  const sure = (button) =>
    new Promise((answer) => {
      const { confirm, confirmYes, confirmNo } = button.dataset;
      if (!confirm) return answer(true);
      const dialog = document.createElement("dialog");
      dialog.className = "dialog";
      dialog.setAttribute("aria-label", confirm);
      const said = document.createElement("p");
      said.textContent = confirm;
      const line = document.createElement("div");
      line.className = "dialog-buttons";
      for (const [text, kind, value] of [[confirmNo, "plain", ""], [confirmYes, "primary", "yes"]]) {
        const choice = document.createElement("button");
        choice.type = "button";
        choice.className = kind;
        choice.textContent = text;
        choice.onclick = () => dialog.close(value);
        line.append(choice);
      }
      dialog.append(said, line);
      dialog.onclose = () => {
        answer(dialog.returnValue === "yes");
        dialog.remove();
      };
      document.body.append(dialog);
      dialog.showModal();
    });

  document.addEventListener("click", async (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.opens);
      for (const [name, value] of Object.entries(opener.dataset)) {
        const field = dialog.querySelector(`[data-from="${name}"]`);
        if (field) field.tagName === "INPUT" || field.tagName === "SELECT" ? (field.value = value) : (field.textContent = value);
      }
      window.actProblems(dialog.querySelector("form")?.dataset.act ?? "", []);
      dialog.showModal();
      dialog.dispatchEvent(new Event("change", { bubbles: true }));
      return;
    }
    if (event.target.closest("[data-closes]")) return event.target.closest("dialog").close();
    const copier = event.target.closest("[data-copies]");
    if (copier) {
      const text = document.getElementById(copier.dataset.copies).textContent;
      try {
        await navigator.clipboard.writeText(text);
      } catch {
        getSelection().selectAllChildren(document.getElementById(copier.dataset.copies));
        document.execCommand("copy");
      }
      copier.textContent = copier.dataset.copied;
      return;
    }
    const button = event.target.closest("button[data-act]");
    if (!button || button.disabled) return;
    const { act, ...rest } = button.dataset;
    const given = {};
    for (const [name, value] of Object.entries(rest)) if (!name.startsWith("confirm")) given[name] = value;
    if (await sure(button)) send(act, given, button);
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-act]");
    if (!form) return;
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("button[type=submit]");
    if (!(await sure(button))) return;
    window.actProblems(form.dataset.act, []);
    send(form.dataset.act, values(form), button);
  });

  window.actProblems = (act, problems) => {
    for (const form of document.querySelectorAll(`form[data-act="${act}"], form[data-check="${act}"]`)) {
      const places = new Map([...form.querySelectorAll("[data-problem]")].map((place) => [place.dataset.problem, place]));
      for (const place of places.values()) place.replaceChildren();
      for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
      for (const { field, message } of problems) {
        const line = document.createElement("span");
        line.textContent = message;
        (places.get(field) ?? places.get("") ?? form).append(line);
        const named = form.elements[field];
        if (named instanceof Element) named.setAttribute("aria-invalid", "true");
      }
    }
  };
  window.actFill = (id, html) => {
    document.getElementById(id).innerHTML = html; // of a template, escaped there
  };
  window.actClose = (id) => document.getElementById(id)?.close();
  window.actForget = () => sessionStorage.removeItem(KEEP);

  // A form that is checked while one types; the server answers for the latest text only
  let waiting = 0;
  let number = 0;
  const check = (form, pause) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (!form.isConnected) return;
      const state = document.getElementById("check-state");
      if (state) state.dataset.state = "checking";
      emitEvent("act", { name: form.dataset.check, given: { ...values(form), number: String(++number) } });
    }, pause);
  };
  window.actCheck = () => {
    for (const form of document.querySelectorAll("form[data-check]")) check(form, 0);
  };

  // What is typed stays in this tab until it is saved, whatever happens to the connection or the page
  const restore = () => {
    const form = document.querySelector("form[data-keep]");
    const kept = sessionStorage.getItem(KEEP);
    if (!form) return;
    if (kept) {
      const given = JSON.parse(kept);
      for (const field of form.elements) {
        if (!field.name || !(field.name in given)) continue;
        if (field.dataset.many !== undefined) field.checked = given[field.name].includes(field.value);
        else if (field.type === "checkbox") field.checked = given[field.name] === "yes";
        else if (field.type === "radio") field.checked = field.value === given[field.name];
        else field.value = given[field.name];
      }
      const note = document.getElementById("restored");
      if (note) note.hidden = false;
    }
    form.dispatchEvent(new Event("change", { bubbles: true }));
    if (form.dataset.check) check(form, 0);
  };
  for (const kind of ["input", "change"])
    document.addEventListener(kind, (event) => {
      const form = event.target.form ?? event.target.closest("form");
      if (!form || event.target === form) return;
      if (form.dataset.keep !== undefined) sessionStorage.setItem(KEEP, JSON.stringify(values(form)));
      if (form.dataset.check) check(form, 500);
    });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-forget]")) return;
    window.actForget();
    location.reload();
  });

  // Parts of a form that depend on another field: data-when="kind=phrases"
  document.addEventListener("change", (event) => {
    const root = event.target.closest("form") ?? event.target.querySelector?.("form");
    if (!root) return;
    const given = values(root);
    for (const part of root.querySelectorAll("[data-when]")) {
      const [name, wanted] = part.dataset.when.split("=");
      part.hidden = !wanted.split("|").includes(given[name]);
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.closest("[data-submits]")) event.target.form.requestSubmit();
  });

  const began = setInterval(() => {
    if (window.did_handshake !== true) return;
    clearInterval(began);
    restore();
  }, 50);
})();
