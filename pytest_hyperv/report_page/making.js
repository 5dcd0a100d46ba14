"use strict";
// What everything else is made with. Text becomes text nodes and nothing else: nothing in the data is ever markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const RUNS = DATA.runs;
const BAD = new Set(["failed", "error"]);
const WORDS = {
  passed: "passed", failed: "failed", error: "error", skipped: "skipped", xfailed: "expected failure",
  xpassed: "passed unexpectedly", unfinished: "not finished", crash: "guest crash", timeout: "time-out",
  infrastructure: "infrastructure", assertion: "assertion", exception: "exception", collection: "not collected",
  worker: "lost worker",
};
const KINDS = {
  test: "the tests themselves", build: "states built", clone: "machines made from states", reset: "machines brought back to their state",
  warm: "machines kept warm", wait: "tests waiting for a machine, besides what is named here", fixtures: "setup and teardown of tests, besides machines",
  discard: "machines thrown away", start: "before the first test: starting, collecting", idle: "nothing to do",
};

function made(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

function button(text, act, attributes = {}) {
  const element = made("button", { type: "button", ...attributes }, text);
  element.addEventListener("click", act);
  return element;
}

function seconds(value) {
  if (value < 0.0995) return `${Math.round(value * 1000)} ms`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (bytes >= 1000 && at < units.length - 1) { bytes /= 1024; at += 1; }
  return `${at && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

function several(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function toned(element, kind) {
  element.style.setProperty("--tone", `var(--k-${kind})`);
  return element;
}

// Shares of a whole as one bar: [[share, element that shows it], ...].
function bar(parts, label, tall = false) {
  const shown = made("div", { class: tall ? "bar tall" : "bar", role: "img", "aria-label": label });
  for (const [share, piece] of parts) {
    piece.style.flexGrow = share;
    shown.append(piece);
  }
  return shown;
}

function definitions(list, pairs) {
  for (const [name, ...values] of pairs) list.append(made("div", {}, made("dt", {}, name), made("dd", {}, ...values)));
}

function copyable(text) {
  if (!navigator.clipboard) return null;
  return button("Copy", (event) => navigator.clipboard.writeText(text).then(() => { event.target.textContent = "Copied"; }));
}

// Where a file of evidence lies, seen from this page. Only ever a path: no scheme can come of it.
function link(path) {
  return "./" + path.toWellFormed().split("/").map(encodeURIComponent).join("/");
}

function reveal(id) {
  const section = document.getElementById(id);
  section.hidden = false;
  return section.querySelector(".list, .charts, .content");
}
