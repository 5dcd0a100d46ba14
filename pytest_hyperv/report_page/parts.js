// The parts of the page: what is said at its top, where the time went, the states, what was not run, and the search.

function beginning() {
  const run = RUNS[0], began = new Date(run.began * 1000);
  document.getElementById("origin").append(`${RUNS.map((each) => each.title).join(", ")} · ${began.toLocaleString("en", { dateStyle: "long", timeStyle: "short" })}`);
  const shares = [["passed", "passed"], ["failed", "failed"], ["error", "in error"], ["xpassed", "passed unexpectedly"], ["xfailed", "expected failure"], ["skipped", "skipped"], ["unfinished", "not finished"]]
    .map(([outcome, text]) => [TESTS.filter((test) => test.outcome === outcome).length, outcome, text]).filter(([count]) => count);
  if (shares.length) {
    document.getElementById("outcomes").append(
      bar(shares.map(([count, outcome]) => [count, made("i", { class: `tone-${outcome}` })]), shares.map(([count, , text]) => `${count} ${text}`).join(", ")),
      made("div", { class: "keys" }, ...shares.map(([count, outcome, text]) => made("span", { class: `tone-${outcome}` }, made("i", { class: "dot" }), made("b", {}, count.toLocaleString("en")), ` ${text}`))));
  }
  const machines = RUNS.reduce((sum, each) => sum + each.spans.filter((span) => span[0] === "lease" && span[5]).length, 0);
  const saved = RUNS.reduce((sum, each) => sum + each.saved, 0);
  definitions(document.getElementById("facts"), [
    ["Took", seconds(RUNS.reduce((sum, each) => sum + each.took, 0))],
    ...(machines ? [["Machines", machines.toLocaleString("en")]] : []),
    ...(saved >= 1 ? [["Saved by states", seconds(saved)]] : []),
    ...[...new Set(RUNS.flatMap((each) => each.where))].map((place) => ["On", place]),
    ...RUNS.flatMap((each) => each.failures).map((failure) => ["At the end", failure]),
    ...RUNS.flatMap((each) => each.notes).map((note) => ["Noted", note]),
  ]);
}

function spent() {
  const total = {}, workers = RUNS.flatMap((run) => Object.entries(run.accounts).map(([name, account]) => [run, name, account]));
  const main = workers.filter(([, name]) => !name.endsWith("/meanwhile"));
  for (const [, , account] of main) for (const [kind, took] of Object.entries(account)) total[kind] = (total[kind] || 0) + took;
  const all = Object.values(total).reduce((sum, took) => sum + took, 0);
  if (!all) return;
  const kinds = Object.keys(KINDS).filter((kind) => total[kind] >= 0.0005);
  const share = (kind) => `${(100 * total[kind] / all).toFixed(total[kind] / all < 0.0995 ? 1 : 0)} %`;
  const table = made("table", {}, made("thead", {}, made("tr", {}, made("th", {}, "At"), made("th", { class: "means" }, "What it is"), made("th", { class: "n" }, "Time"), made("th", { class: "n" }, "Share"))),
    made("tbody", {}, ...kinds.sort((one, other) => total[other] - total[one]).map((kind) => made("tr", {},
      made("th", { scope: "row" }, toned(made("i", { class: "dot" }), kind), kind), made("td", { class: "means" }, KINDS[kind]),
      made("td", { class: "n" }, seconds(total[kind])), made("td", { class: "n" }, share(kind))))));
  const shown = bar(kinds.map((kind) => [total[kind], toned(made("i", { title: `${kind} ${seconds(total[kind])}` }), kind)]), kinds.map((kind) => `${kind} ${share(kind)}`).join(", "), true);
  const content = reveal("time");
  content.append(made("div", { class: "card" }, shown, made("div", { class: "scroll" }, table)));
  const pair = made("div", { class: "two" });
  if (workers.length > 1) {
    const lines = workers.map(([run, name, account]) => {
      const [worker, meanwhile] = name.split("/");
      const took = Object.values(account).reduce((sum, each) => sum + each, 0);
      const parts = Object.keys(KINDS).filter((kind) => account[kind]);
      const label = `${RUNS.length > 1 ? `${run.title} ` : ""}${worker || "tests"}${meanwhile ? ", meanwhile" : ""}`;
      return made("div", {}, made("h3", {}, `${label}: ${seconds(took)}`), bar(parts.map((kind) => [account[kind], toned(made("i", { title: `${kind} ${seconds(account[kind])}` }), kind)]), parts.map((kind) => `${kind} ${seconds(account[kind])}`).join(", ")));
    });
    pair.append(made("div", { class: "card bars" }, ...lines));
  }
  const longest = [...TESTS].sort((one, other) => other.took - one.took).slice(0, 5).filter((test) => test.took >= 0.1);
  if (longest.length) pair.append(made("div", { class: "card" }, made("h3", {}, "Longest tests"), made("ul", { class: "longest" },
    ...longest.map((test) => made("li", {}, made("a", { href: `#t-${test.key}` }, test.name), made("span", { class: "took" }, seconds(test.took)))))));
  if (pair.children.length) content.append(pair);
}

function states() {
  for (const run of RUNS) {
    if (!run.states.length) continue;
    const keys = new Set(run.states.map((state) => state.key));
    const above = (parent) => run.states.filter((state) => (keys.has(state.parent) ? state.parent : "") === parent)
      .sort((one, other) => one.name.localeCompare(other.name)).map((state) => {
        const rest = above(state.key);
        return made("li", {}, told(state), rest.length ? made("ul", {}, ...rest) : null);
      });
    const lead = run.saved >= 1 ? `Building what each machine stands on, for that machine alone, would have taken ${seconds(run.saved)} more.` : "";
    reveal("states").append(...[lead && made("p", { class: "lead" }, lead), made("div", { class: "card" }, made("ul", { class: "tree" }, ...above("")))].filter(Boolean));
  }
  function told(state) {
    const facts = [size(state.size), state.machine, `building it took ${seconds(state.took)}`,
      state.clones ? `${several(state.clones, "machine")} made from it, ${seconds(state.cloning / state.clones)} each` : "stood on by others only"];
    return made("div", {}, made("div", { class: "state" }, made("b", {}, state.name), state.recipe ? made("code", {}, state.recipe) : "",
      made("span", { class: state.built ? "tag fresh" : "tag" }, state.built ? "built in this run" : "was in the cache")), made("p", {}, facts.join(" · ")));
  }
}

function skipped() {
  const counts = new Map();
  for (const test of TESTS) if (test.outcome === "skipped") counts.set(test.why || "no reason", (counts.get(test.why || "no reason") || 0) + 1);
  if (!counts.size) return;
  const rows = [...counts].sort((one, other) => other[1] - one[1]).map(([why, count]) => made("tr", {}, made("td", { class: "n" }, count.toLocaleString("en")), made("td", {}, why)));
  reveal("skipped").append(made("div", { class: "card scroll" }, made("table", {}, made("thead", {}, made("tr", {}, made("th", { class: "n" }, "Tests"), made("th", {}, "Reason"))), made("tbody", {}, ...rows))));
}

function search() {
  const list = document.querySelector("#tests .list"), count = document.getElementById("count"), form = document.getElementById("filter");
  const text = document.getElementById("search"), order = document.getElementById("order"), chosen = document.getElementById("chosen");
  const choices = [["all", "All", () => true], ["failed", "Failed", (test) => test.bad], ["passed", "Passed", (test) => test.outcome === "passed"],
    ["skipped", "Skipped", (test) => test.outcome === "skipped"], ["machine", "With a machine", (test) => (test.machines || []).length > 0]];
  let choice = choices[0];
  const buttons = choices.map((each) => {
    const number = TESTS.filter(each[2]).length;
    return number || each[0] === "all" ? button("", () => { choice = each; show(); }, { "data-choice": each[0] }) : null;
  });
  buttons.forEach((each, at) => each && (each.append(choices[at][1], made("b", {}, TESTS.filter(choices[at][2]).length.toLocaleString("en"))), chosen.append(each)));
  const words = new Map(TESTS.map((test) => [test, [test.id, test.why, word(test), test.outcome, test.worker, ...(test.machines || []).flatMap((each) => [each.name, each.state, each.image])].join(" ").toLowerCase()]));
  let growTo;
  function show() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = TESTS.filter((test) => choice[2](test) && wanted.every((each) => words.get(test).includes(each)));
    if (order.value === "long") found.sort((one, other) => other.took - one.took);
    buttons.forEach((each, at) => each && each.setAttribute("aria-pressed", choices[at] === choice));
    count.textContent = !TESTS.length ? "No test ran." : found.length === TESTS.length ? several(TESTS.length, "test") : found.length ? `${found.length.toLocaleString("en")} of ${several(TESTS.length, "test")}` : "No test is like that.";
    growTo = fill(list, found, "t");
    return found;
  }
  text.addEventListener("input", show);
  order.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName)) { event.preventDefault(); text.focus(); }
  });
  form.hidden = !TESTS.length;
  show();
  return (test) => {
    if (!document.getElementById(`t-${test.key}`)) { choice = choices[0]; text.value = ""; order.value = "run"; show(); }
    growTo(test);
  };
}

function footer() {
  const run = RUNS[0], versions = Object.entries(run.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const dropped = RUNS.reduce((sum, each) => sum + each.dropped, 0);
  document.getElementById("footer").append(`${versions}.`, dropped ? ` ${several(dropped, "piece")} of work had no room on the timeline.` : "");
}

let bringTest = () => {};
function openTest(id) {
  const test = /^[tf]-/.test(id) && TESTS.find((each) => each.key === id.slice(2));
  if (test && id.startsWith("t-")) bringTest(test);
  const details = test && document.getElementById(id);
  if (!details) return;
  details.open = true;
  details.scrollIntoView({ block: "start" });
  details.querySelector("summary").focus({ preventScroll: true });
}

function begin() {
  beginning();
  const failed = TESTS.filter((test) => test.bad);
  if (failed.length) fill(reveal("failures"), failed, "f");
  RUNS.forEach((run, place) => { if (run.spans.length) reveal("timeline").append(timeline(run, place)); });
  spent(); states(); skipped();
  bringTest = search();
  footer();
  const counts = { failures: failed.length, skipped: TESTS.filter((test) => test.outcome === "skipped").length, tests: TESTS.length };
  for (const section of document.querySelectorAll("main > section:not([hidden])")) {
    const name = section.querySelector("h2").textContent, number = counts[section.id];
    document.getElementById("parts").append(made("li", {}, made("a", { href: `#${section.id}` }, name, number ? made("b", {}, number.toLocaleString("en")) : "")));
  }
  addEventListener("hashchange", () => openTest(location.hash.slice(1)));
  openTest(location.hash.slice(1));
  document.documentElement.dataset.ready = "yes";
  requestAnimationFrame(() => setTimeout(() => performance.mark("painted")));
}
begin();
