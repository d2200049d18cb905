// The form of a rule: clauses that fit the signal, marking of what an example shows.
"use strict";
document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form.rule-form") ?? event.target.querySelector?.("form.rule-form");
  if (!form || !(event.target === form || event.target.name === "signal")) return;
  const signal = form.elements.signal.value;
  for (const tick of form.querySelectorAll(".references .tick"))
    tick.hidden = signal !== "" && !tick.dataset.signals.split(" ").includes(signal) && !tick.querySelector("input").checked;
  for (const standard of form.querySelectorAll(".standard")) standard.hidden = !standard.querySelector(".tick:not([hidden])");
  if (event.target.name === "signal" && signal === "sensitive_complaint") form.elements.speaker.value = "customer";
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-marks]");
  if (!button) return;
  const area = document.getElementById(button.dataset.marks);
  const { selectionStart: start, selectionEnd: end } = area;
  area.focus();
  if (start === end) return;
  area.setRangeText(`«${area.value.slice(start, end).replace(/[«»]/g, "")}»`, start, end, "end");
  area.dispatchEvent(new Event("input", { bubbles: true }));
});
