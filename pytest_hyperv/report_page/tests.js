// The tests: a row each, what is inside only once it is opened, and no more rows than somebody looks at.

const TESTS = RUNS.flatMap((run, place) => run.tests.map((test, number) => {
  const [file, ...rest] = test.id.split("::");
  return { ...test, run: place, key: `${place}-${number}`, file, name: rest.join("::") || file, bad: BAD.has(test.outcome),
    took: test.phases.reduce((sum, phase) => sum + phase[2], 0) };
}));
const ROWS = 100;

function word(test) {
  return WORDS[test.bad ? test.kind : test.outcome] || test.outcome;
}

function row(test, prefix) {
  const tone = test.bad && ["crash", "timeout", "infrastructure", "worker"].includes(test.kind) ? test.kind : test.outcome;
  const state = test.bad ? " bad" : test.outcome === "passed" ? "" : " dull";
  const details = made("details", { class: `test tone-${tone}${state}`, id: `${prefix}-${test.key}` },
    made("summary", {},
      made("span", { class: "word" }, word(test)),
      made("span", { class: "name" }, made("b", {}, ...breakable(test.name)), made("span", {}, where(test))),
      made("span", { class: "took" }, test.phases.length ? seconds(test.took) : ""),
      test.why ? made("span", { class: "why" }, test.why) : null));
  details.addEventListener("toggle", () => {
    if (!details.open) return;
    if (details.children.length === 1) details.append(inside(test));
    history.replaceState(null, "", `#${details.id}`);
  });
  return details;
}

// A name that may go on in the next line after what joins its words.
function breakable(name) {
  return name.split(/(?<=_|::|\[|\/)/).flatMap((piece) => [made("wbr"), piece]).slice(1);
}

function where(test) {
  const machines = (test.machines || []).map((machine) => machine.state || machine.image);
  const parts = [test.name === test.file ? "" : test.file, [...new Set(machines)].join(", ")];
  return parts.filter(Boolean).join(" · ");
}

function inside(test) {
  const told = made("div", { class: "inside" });
  const facts = made("dl");
  const say = (name, ...values) => facts.append(made("dt", {}, name), made("dd", {}, ...values));
  say("Test", made("code", {}, test.id));
  for (const machine of test.machines || []) {
    const from = machine.state ? `state ${machine.state} of ${machine.image}` : `image ${machine.image}`;
    say("Machine", made("code", {}, machine.name), ` ${from}, ${machine.backend}`);
  }
  if (test.worker) say("Worker", test.worker);
  if (RUNS.length > 1) say("Run", RUNS[test.run].title);
  if (test.phases.length) say("Time", test.phases.map(([name, , took]) => `${name === "call" ? "test" : name} ${seconds(took)}`).join(" · "));
  if (test.outcome === "skipped" && test.why) say("Reason", test.why);
  told.append(facts);
  const stories = test.stories || [];
  for (const story of stories) told.append(...firstOf(story));
  if (test.text) told.append(made("div", {}, made("h3", {}, "Failure"), made("pre", { tabindex: 0 }, test.text)));
  for (const story of stories) {
    const shown = story.exhibits.filter((each) => each.kind !== "crash" || !story.crash).map((each) => exhibit(each, story)).filter(Boolean);
    if (!shown.length) continue;
    const name = stories.length > 1 ? made("h3", {}, story.machine) : null;
    told.append(made("div", { class: stories.length > 1 ? "machine" : "inside-machine machine" }, ...[name, ...shown].filter(Boolean)));
  }
  for (const [name, content] of test.said || []) told.append(part(name, "", made("pre", { class: "wrap", tabindex: 0 }, content)));
  return told;
}

// What a person reads first of a machine: what happened, how its guest died, how to get into it.
function firstOf(story) {
  const shown = [];
  if (story.text) shown.push(made("div", {}, made("h3", {}, "In short"), made("pre", { class: "wrap", tabindex: 0 }, story.text)));
  if (story.crash && !story.exhibits.some((each) => (each.marks || []).length)) shown.push(made("div", {}, made("h3", {}, "How the guest died"), made("pre", { class: "wrap", tabindex: 0 }, story.crash)));
  if (story.enter) shown.push(made("div", {}, made("h3", {}, "The machine was kept: enter it with"),
    made("div", { class: "enter" }, made("code", {}, story.enter), copyable(story.enter))));
  return shown;
}

function exhibit(each, story) {
  const file = each.link ? made("a", { href: link(each.link) }, each.name.split("/").pop()) : each.name;
  const note = [each.note, each.before || each.after ? `the ${each.before ? "last" : "first"} part of it` : ""].filter(Boolean).join("; ");
  if (each.picture) {
    const picture = made("img", { alt: `Screen of ${story.machine}`, loading: "lazy", src: `data:image/png;base64,${each.picture}` });
    return made("figure", {}, picture, made("figcaption", {}, "The screen, ", file, note && ` (${note})`));
  }
  if (each.text === undefined) return made("p", {}, `${titled(each.kind)}: `, file, note && ` (${note})`);
  if (each.kind === "console" || each.kind === "journal") return folded(each, file, note);
  return part(titled(each.kind), [file, note && `, ${note}`], made("pre", { class: "wrap", tabindex: 0 }, each.text || "Nothing was said."));
}

function titled(kind) {
  return { facts: "Machine, state and checkpoints", transcript: "Commands", console: "Serial console", journal: "Journal", crash: "Crash",
    dump: "Memory dump", screenshot: "Screen", file: "File" }[kind] || kind;
}

function part(title, more, content) {
  return made("details", { class: "part" }, made("summary", {}, title, made("span", {}, ...[more].flat())), content);
}

// A long text: the lines around those that tell of the crash, or the last ones; the rest when asked for.
function folded(each, file, note) {
  const lines = each.text.replace(/\n+$/, "").split("\n");
  const marked = new Set(each.marks || []);
  const centre = marked.size ? Math.min(...marked) : lines.length;
  let from = Math.max(0, centre - (marked.size ? 6 : 12)), to = marked.size ? Math.min(lines.length, centre + 14) : lines.length;
  const pre = made("pre", { tabindex: 0, "aria-label": titled(each.kind) });
  const fold = made("div", { class: "fold" });
  const show = () => {
    pre.replaceChildren();
    for (let at = from; at < to; at += 1) {
      pre.append(marked.has(at) ? made("mark", {}, lines[at]) : `${lines[at]}${at < to - 1 ? "\n" : ""}`);
    }
    fold.replaceChildren();
    if (from > 0) fold.append(button(`Show ${several(from, "line")} before`, () => { from = 0; show(); }));
    if (to < lines.length) fold.append(button(`Show ${several(lines.length - to, "line")} after`, () => { to = lines.length; show(); }));
    fold.append(file, note && ` (${note})`);
  };
  show();
  return made("div", {}, made("h3", {}, marked.size ? `${titled(each.kind)}, around the crash` : titled(each.kind)), each.text ? pre : "Nothing was said.", fold);
}

// A list that grows when its end comes into sight, or by its button.
function fill(list, tests, prefix) {
  let shown = 0;
  const next = button("", () => grow(), { class: "next" });
  const watch = new IntersectionObserver((seen) => { if (shown > ROWS / 2 && seen.some((each) => each.isIntersecting)) grow(); }, { rootMargin: "400px" });
  function grow(to = shown + ROWS) {
    next.remove();
    const rows = document.createDocumentFragment();
    for (const test of tests.slice(shown, to)) rows.append(row(test, prefix));
    shown = Math.min(to, tests.length);
    list.append(rows);
    if (shown === tests.length) return watch.disconnect();
    next.textContent = `Show ${several(Math.min(ROWS, tests.length - shown), "more test", "more tests")}`;
    list.append(next);
  }
  list.replaceChildren();
  grow();
  if (shown < tests.length) watch.observe(next);
  return (test) => { const at = tests.indexOf(test); if (at >= shown) grow(at + 1); };
}
