// The keyboard: every action of the page has a key; the help lists them.
"use strict";
import { el, t } from "./triage_dom.js";

const KEYS = {
  j: (act) => act.step(1),
  k: (act) => act.step(-1),
  y: (act) => act.verdict("confirmed"),
  n: (act) => act.verdict("rejected"),
  u: (act) => act.verdict("unsure"),
  Y: (act) => act.focused("confirmed"),
  N: (act) => act.focused("rejected"),
  U: (act) => act.focused("unsure"),
  f: (act) => act.focusFlag(1),
  F: (act) => act.focusFlag(-1),
  e: () => document.getElementById("note")?.focus(),
  s: (act) => act.severe(),
  z: (act) => act.undo(),
  o: (act) => act.only(),
  v: (act) => act.clean(),
  p: (act) => act.earlier(),
  m: (act) => act.mark(),
  "[": () => turn(-1),
  "]": () => turn(1),
  "/": () => document.querySelector("#filters [name=words]").focus(),
  "?": () => showHelp(),
  Enter: (act) => act.submit(),
};
const LISTED = [["j", "k"], ["y", "n", "u"], ["1", "2", "3"], ["s"], ["e"], ["↵"], ["z"], ["f", "F"], ["Y", "N", "U"], ["[", "]", "m"], ["o"], ["v"], ["p"], ["/"], ["?"], ["Esc"]];

// Chooses the words of the turn before or after: m reports them, Shift with the arrows narrows them first.
function turn(step) {
  const texts = [...document.querySelectorAll("#turns .text")].filter((one) => one.offsetParent);
  const at = texts.findIndex((one) => getSelection().containsNode(one, true));
  const next = texts[at < 0 ? (step > 0 ? 0 : texts.length - 1) : Math.min(texts.length - 1, Math.max(0, at + step))];
  if (!next) return;
  document.getElementById("turns").focus();
  getSelection().selectAllChildren(next);
  next.scrollIntoView({ block: "center" });
}

export function listen(act) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.metaKey) return;
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "Escape") return void act.escape();
    if (event.ctrlKey) {
      if (event.key === "Enter" && typing?.id === "note") {
        event.preventDefault();
        act.submit();
      }
      return;
    }
    if (typing && typing.type !== "checkbox") return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && event.target.closest?.("button, summary, a, [data-flags]")) return;
    if (/^[1-5]$/.test(event.key)) act.digit(Number(event.key));
    else if (KEYS[event.key]) KEYS[event.key](act);
    else return;
    event.preventDefault();
  });
}

export function showHelp() {
  const rows = LISTED.map((keys) => [el("dt", {}, ...keys.map((key) => el("kbd", {}, key))), el("dd", {}, t(`key_${keys[0]}`))]);
  const dialog = el("dialog", { class: "help", "aria-label": t("keys") }, el("h2", {}, t("keys")), el("dl", {}, ...rows.flat()), el("button", { type: "button", class: "plain", onclick: () => dialog.close() }, t("close")));
  dialog.addEventListener("close", () => dialog.remove());
  document.getElementById("triage").append(dialog);
  dialog.showModal();
}
