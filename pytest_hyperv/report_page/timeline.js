// The timeline of a run on a canvas: a row for what each worker's tests waited for, thin ones for what went on meanwhile.

const ROW = 24, THIN = 7, GAP = 5, LABEL = 19, AXIS = 22;

function timeline(run, place) {
  const rows = rowsOf(run, place);
  const height = AXIS + rows.reduce((sum, each) => sum + (each.label === null ? THIN + 3 : LABEL + ROW + GAP), 0) + 4;
  const canvas = made("canvas", { "aria-hidden": true });
  const length = made("div", { class: "length" });
  const track = made("div", { class: "track", tabindex: 0, role: "application", "aria-roledescription": "timeline",
    "aria-label": `${several(rows.filter((each) => each.label !== null).length, "worker")}, ${seconds(run.took)}. Arrow keys go from one thing to the next, Enter opens a test, plus and minus zoom.` }, canvas, length);
  const here = made("p", { class: "here", role: "status" }, "Point at the timeline, or go along it with the arrow keys.");
  let zoom = 1, chosen = null, width = 0;

  const scale = () => (width * zoom) / run.took;
  function draw() {
    const colours = getComputedStyle(document.documentElement), dots = window.devicePixelRatio || 1;
    const colour = (name) => colours.getPropertyValue(name).trim();
    width = track.clientWidth;
    canvas.width = width * dots; canvas.height = height * dots;
    canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
    length.style.width = `${width * zoom}px`;
    const pen = canvas.getContext("2d");
    pen.scale(dots, dots);
    pen.font = "12px system-ui, sans-serif";
    const left = track.scrollLeft, x = (moment) => moment * scale() - left;
    axis(pen, run.took, scale(), left, width, height, colour);
    let y = AXIS;
    for (const each of rows) {
      if (each.label !== null) {
        pen.fillStyle = colour("--soft");
        pen.fillText(each.label, 2, y + 14);
        y += LABEL;
      }
      each.y = y; each.height = each.label === null ? THIN : ROW;
      pen.fillStyle = colour("--k-idle");
      pen.fillRect(x(0), y, run.took * scale(), each.height);
      for (const piece of each.pieces) {
        const from = x(piece.began), wide = Math.max(piece.took * scale(), 1);
        if (from > width || from + wide < 0) continue;
        pen.fillStyle = colour(`--k-${piece.tone}`);
        pen.fillRect(from, y, wide > 3 ? wide - 0.5 : wide, each.height);
        if (piece === chosen) outline = [from, y, Math.max(wide, 3), each.height];
      }
      y += each.height + (each.label === null ? 3 : GAP);
    }
    if (chosen && outline) {
      pen.strokeStyle = colour("--ink"); pen.lineWidth = 2;
      pen.strokeRect(outline[0] - 1, outline[1] - 1, outline[2] + 2, outline[3] + 2);
    }
  }
  let outline = null;

  function choose(piece, scroll) {
    chosen = piece; outline = null;
    here.replaceChildren();
    if (!piece) { draw(); return; }
    here.append(made("b", {}, piece.title), ` ${seconds(piece.took)}, from ${seconds(piece.began)}`, piece.more && `: ${piece.more}`);
    if (piece.test) here.append(" ", made("a", { href: `#t-${piece.test.key}` }, "Open the test"));
    if (scroll) {
      const middle = (piece.began + piece.took / 2) * scale();
      if (middle < track.scrollLeft || middle > track.scrollLeft + width) track.scrollLeft = middle - width / 2;
    }
    draw();
  }
  function at(event) {
    const box = canvas.getBoundingClientRect(), moment = (event.clientX - box.left + track.scrollLeft) / scale(), near = 3 / scale();
    const line = rows.find((each) => event.clientY - box.top >= each.y - 2 && event.clientY - box.top <= each.y + each.height + 2);
    return line ? line.pieces.findLast((piece) => piece.began - near <= moment && moment <= piece.began + piece.took + near) : null;
  }
  function zoomTo(wanted) {
    const middle = (track.scrollLeft + width / 2) / zoom;
    zoom = Math.min(Math.max(wanted, 1), 400);
    out.disabled = whole.disabled = zoom === 1;
    length.style.width = `${width * zoom}px`;
    track.scrollLeft = middle * zoom - width / 2;
    draw();
  }
  function go(step) {
    const line = rows.find((each) => each.pieces.includes(chosen)) || rows[0];
    if (!line) return;
    const number = line.pieces.indexOf(chosen) + step;
    choose(line.pieces[Math.min(Math.max(number, 0), line.pieces.length - 1)] || null, true);
  }
  function leap(step) {
    const now = rows.findIndex((each) => each.pieces.includes(chosen)), line = rows[Math.min(Math.max(now + step, 0), rows.length - 1)];
    const from = chosen ? chosen.began : 0;
    choose(line.pieces.find((piece) => piece.began + piece.took >= from) || line.pieces.at(-1) || null, true);
  }
  const keys = { ArrowRight: () => go(1), ArrowLeft: () => go(-1), ArrowDown: () => leap(1), ArrowUp: () => leap(-1),
    "+": () => zoomTo(zoom * 2), "-": () => zoomTo(zoom / 2), Enter: () => { if (chosen && chosen.test) openTest(`t-${chosen.test.key}`); } };
  track.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  let waiting = false;
  const soon = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } };
  track.addEventListener("scroll", soon, { passive: true });
  canvas.addEventListener("pointermove", (event) => { const piece = at(event); if (piece && piece !== chosen) choose(piece, false); });
  canvas.addEventListener("click", (event) => { const piece = at(event); if (piece) choose(piece, false); });
  canvas.addEventListener("dblclick", () => zoomTo(zoom * 2));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
  new ResizeObserver(soon).observe(track);
  const out = button("−", () => zoomTo(zoom / 2), { "aria-label": "Zoom out", disabled: true });
  const whole = button("Whole run", () => zoomTo(1), { disabled: true });
  const zooms = made("div", { class: "zoom" }, out, button("+", () => zoomTo(zoom * 2), { "aria-label": "Zoom in" }), whole);
  const seen = new Set(rows.flatMap((each) => each.pieces.map((piece) => piece.tone)));
  const legend = made("div", { class: "keys" }, ...["test", "bad", "build", "clone", "reset", "warm", "wait", "fixtures", "discard"]
    .filter((kind) => seen.has(kind)).map((kind) => made("span", {}, toned(made("i", { class: "dot" }), kind), kind === "bad" ? "failed test" : kind)));
  return made("div", { class: "card chart" }, made("div", { class: "head" }, legend, zooms), track, here);
}

// Pieces of a row stand in the order in which they are drawn: what is within another thing comes after it.
function rowsOf(run, place) {
  const rows = new Map();
  const rowOf = (worker, lane) => {
    const key = `${worker}\n${lane}`;
    if (!rows.has(key)) rows.set(key, { worker, lane, label: lane ? null : worker || "tests", pieces: [] });
    return rows.get(key);
  };
  for (const test of TESTS) {
    if (test.run !== place) continue;
    for (const [name, began, took] of test.phases) {
      const tone = name !== "call" ? "fixtures" : test.bad ? "bad" : "test";
      rowOf(test.worker, "").pieces.push({ began, took, tone, test, title: name === "call" ? test.name : `${name} of ${test.name}`, more: name === "call" ? word(test) : "" });
    }
  }
  for (const [kind, began, took, worker, lane, machine, state, purpose] of run.spans) {
    const more = [machine, state && `state ${state}`, purpose && `for ${purpose}`].filter(Boolean).join(", ");
    rowOf(worker, lane).pieces.push({ began, took, tone: kind === "lease" ? "wait" : kind, title: kind === "lease" ? "wait for a machine" : kind, more, test: null });
  }
  for (const each of rows.values()) each.pieces.sort((one, other) => one.began - other.began || other.took - one.took);
  return [...rows.values()].sort((one, other) => one.worker.localeCompare(other.worker, "en", { numeric: true }) || one.lane.localeCompare(other.lane));
}

function axis(pen, took, scale, left, width, height, colour) {
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].find((each) => each * scale >= 72) || 14400;
  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--line");
  pen.lineWidth = 1;
  for (let moment = Math.floor(left / scale / step) * step; moment <= took && moment * scale - left <= width; moment += step) {
    const x = Math.round(moment * scale - left) + 0.5;
    pen.beginPath(); pen.moveTo(x, 0); pen.lineTo(x, height); pen.stroke();
    pen.fillText(step < 1 ? `${moment.toFixed(1)} s` : seconds(moment).replace(/\.0 s| ms/, " s").replace(/ 0 s$/, ""), x + 4, 12);
  }
}
