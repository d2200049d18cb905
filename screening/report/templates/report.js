(() => {
  "use strict";
  const form = document.getElementById("filters");
  const cases = [...document.querySelectorAll(".case")];
  const count = document.getElementById("count");
  const nothing = document.getElementById("nothing");
  const texts = new Map();

  // Marks and placeholders carry no text of their own, so the words are found even where something invisible parts them.
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.replace(/\s+/g, " ").toLowerCase());
    return texts.get(item);
  };
  const clausesOf = (item) => [...item.querySelectorAll("[data-clause]")].map((part) => part.dataset.clause);

  const apply = () => {
    const asked = new FormData(form);
    const levels = asked.getAll("level");
    const clause = asked.get("clause");
    const agent = asked.get("agent");
    const channel = asked.get("channel");
    const words = asked.get("text").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of cases) {
      const level = item.dataset.level;
      const fits =
        (!levels.length || levels.includes(level) || (levels.includes("open") && "incomplete" in item.dataset)) &&
        (!agent || agent === "=" + item.dataset.agent) &&
        (!channel || channel === "=" + item.dataset.channel) &&
        (!clause || clausesOf(item).includes(clause)) &&
        words.every((word) => textOf(item).includes(word));
      item.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown === cases.length ? `共 ${shown} 个对话` : `${shown} / ${cases.length} 个对话`;
    nothing.hidden = shown > 0 || cases.length === 0;
  };

  let waiting;
  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(apply, 120);
  });
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });

  const openAll = (open) => cases.forEach((item) => { if (!item.hidden) item.open = open; });
  document.getElementById("open-all").addEventListener("click", () => openAll(true));
  document.getElementById("close-all").addEventListener("click", () => openAll(false));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pick]");
    if (!button) return;
    const { pick, value } = button.dataset;
    form.reset();
    if (pick === "level") form.querySelector(`[name=level][value="${value}"]`).checked = true;
    else form.elements[pick].value = pick === "clause" ? value : "=" + value;
    apply();
    document.getElementById("cases").scrollIntoView();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    form.elements.text.focus();
  });

  // Paper has no folds: what the filters show is printed in full, then folded again.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = cases.filter((item) => !item.open && !item.hidden);
    folded.forEach((item) => { item.open = true; });
  });
  window.addEventListener("afterprint", () => folded.forEach((item) => { item.open = false; }));

  apply();
})();
