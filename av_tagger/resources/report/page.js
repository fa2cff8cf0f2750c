"use strict";
// The playhead follows the player; every time on the page can be clicked.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const media = document.getElementById("media");
  const lanes = document.getElementById("lanes");
  const span = data.end - data.start;
  const covers = [...document.querySelectorAll(".cover")];
  const playheads = [...document.querySelectorAll(".playhead")];
  const outputs = [...document.querySelectorAll("output.now")];
  const cards = [...document.querySelectorAll(".card[data-lane]")];
  const rows = [...document.querySelectorAll(".lanes")];
  let position = data.start;
  let zoom = 1, from = data.start;  // the timeline shows span / zoom seconds from here

  const clamp = (t) => Math.min(Math.max(t, data.start), data.end);

  function clock(t) {
    const tenths = Math.round(t * 10);
    const h = Math.floor(tenths / 36000), m = Math.floor(tenths / 600) % 60;
    const s = String(Math.floor(tenths / 10) % 60).padStart(2, "0") + "." + (tenths % 10);
    return h ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
  }

  function show(t) {
    position = clamp(t);
    const share = (position - data.start) / span;
    const inView = (zoom * (position - from)) / span;
    for (const p of playheads) {
      p.style.left = `${100 * inView}%`;
      p.hidden = inView < 0 || inView > 1;
    }
    lanes.setAttribute("aria-valuenow", position.toFixed(1));
    lanes.setAttribute("aria-valuetext", clock(position));
    for (const o of outputs) {
      const activity = data.lanes[o.dataset.lane].activity;
      const bin = Math.floor(share * activity.length + 1e-6);
      const value = activity[Math.min(activity.length - 1, bin)];
      o.textContent = value === null ? "" : value.toFixed(2);
    }
    for (const c of cards) {
      const on = data.lanes[c.dataset.lane].events.some(([a, b]) => a <= position && position <= b);
      c.classList.toggle("on", on);
    }
  }

  function seek(t) {
    show(t);
    // A player without metadata ignores positions; it gets this one when the metadata is there.
    if (media.readyState > 0) media.currentTime = position;
  }

  function follow() {
    if (media.readyState > 0 && !media.seeking) {
      show(media.currentTime);
      if (!media.paused && (position < from || position > from + span / zoom)) turnTo(position, 0.1);
    }
    if (!media.paused && !media.ended) requestAnimationFrame(follow);
  }

  media.addEventListener("loadedmetadata", () => { if (position > 0) media.currentTime = position; });
  media.addEventListener("play", follow);
  media.addEventListener("timeupdate", follow);
  media.addEventListener("error", () => {
    document.getElementById("lost").hidden = false;
    media.hidden = true;
  });
  if (media.error) media.dispatchEvent(new Event("error"));

  function timeAt(cover, event) {
    const box = cover.getBoundingClientRect();
    return clamp(from + ((span / zoom) * (event.clientX - box.left)) / box.width);
  }

  // Zoom and axis

  const axis = document.querySelector(".axis .graph");
  const wholeAxis = [...axis.childNodes];
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const mostZoom = Math.max(1, span);  // one second is the shortest view

  function svg(name, attributes, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  }

  function ticks() {
    const view = span / zoom;
    const step = steps.find((s) => view / s <= 10) ?? steps.at(-1);
    const marks = [];
    for (let n = Math.ceil(from / step); n * step <= from + view + 1e-9; n++) {
      const x = `${(100 * (n * step - data.start)) / span}%`;
      const label = step < 1 ? clock(n * step) : clock(n * step).slice(0, -2);
      marks.push(svg("line", { x1: x, x2: x, y1: "60%", y2: "100%" }));
      marks.push(svg("text", { x, y: "45%", "text-anchor": "middle", class: n % 2 ? "odd" : "" }, label));
    }
    return marks;
  }

  function place() {
    from = Math.min(Math.max(from, data.start), data.end - span / zoom);
    for (const lanesOf of rows) {
      lanesOf.classList.toggle("zoomed", zoom > 1);
      lanesOf.style.setProperty("--zoom", zoom);
      lanesOf.style.setProperty("--shift", (zoom * (from - data.start)) / span);
    }
    axis.replaceChildren(...(zoom > 1 ? ticks() : wholeAxis));
    show(position);
  }

  // Zoom so that the moment `t` stays where it is, or show it at a share of the view.
  function zoomTo(factor, t = position) {
    const next = Math.min(Math.max(factor, 1), mostZoom);
    const share = Math.min(Math.max((zoom * (t - from)) / span, 0), 1);
    zoom = next;
    turnTo(t, share);
  }

  function turnTo(t, share) {
    from = t - (share * span) / zoom;
    place();
  }

  const zooms = { "+": () => zoomTo(zoom * 2), "=": () => zoomTo(zoom * 2), "-": () => zoomTo(zoom / 2), 0: () => zoomTo(1) };
  const buttons = document.getElementById("zoom");
  buttons.hidden = mostZoom === 1;
  buttons.addEventListener("click", (event) => zooms[event.target.closest("button")?.dataset.zoom]?.());

  for (const cover of covers) {
    const ghost = cover.querySelector(".ghost");
    cover.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      seek(timeAt(cover, event));
      if (event.pointerType === "mouse") cover.setPointerCapture(event.pointerId);
    });
    cover.addEventListener("wheel", (event) => {
      if (event.ctrlKey) zoomTo(zoom * Math.pow(2, -Math.sign(event.deltaY)), timeAt(cover, event));
      else if (zoom > 1 && (event.deltaX || event.shiftKey)) {
        from += ((event.deltaX || event.deltaY) / cover.clientWidth) * (span / zoom);
        place();
      } else return;
      event.preventDefault();
    }, { passive: false });
    cover.addEventListener("pointermove", (event) => {
      const t = timeAt(cover, event);
      ghost.style.left = `${(100 * zoom * (t - from)) / span}%`;
      ghost.firstElementChild.textContent = clock(t);
      if (event.buttons === 1 && cover.hasPointerCapture(event.pointerId)) seek(t);
    });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-seek]");
    if (button) seek(Number(button.dataset.seek));
  });

  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("button, a, summary, input, select, video, audio")) return;
    const step = event.shiftKey ? 0.1 : 1;
    const moves = { ArrowLeft: position - step, ArrowRight: position + step, Home: data.start, End: data.end };
    if (event.key in moves) seek(moves[event.key]);
    else if (event.key in zooms) zooms[event.key]();
    else if (event.key === "?") {
      const keys = document.getElementById("keys");
      keys.classList.toggle("asked");
      keys.scrollIntoView({ block: "nearest" });
    }
    else if (event.key === " ") media.paused ? media.play().catch(() => {}) : media.pause();
    else return;
    event.preventDefault();
  });

  const places = document.getElementById("where");
  places?.addEventListener("click", () => {
    const shown = places.getAttribute("aria-pressed") !== "true";
    places.setAttribute("aria-pressed", shown);
    places.closest("section").classList.toggle("unplaced", !shown);
  });

  const table = document.getElementById("table");
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!head) return;
    const down = head.getAttribute("aria-sort") !== "descending" && head.cellIndex > 0;
    const sign = down || (head.cellIndex === 0 && head.getAttribute("aria-sort") === "ascending") ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
    const key = (row) => (head.cellIndex ? Number(row.cells[head.cellIndex].dataset.value) : row.cells[0].textContent);
    const compare = (a, b) => (head.cellIndex ? key(a) - key(b) : key(a).localeCompare(key(b)));
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => sign * compare(a, b)));
    sift();
  });

  // Many classes: the first rows are shown, or those that the filter finds.
  const filter = document.getElementById("class-filter");
  const more = document.getElementById("all-classes");
  let open = !more;

  function sift() {
    if (!more) return;
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const name = row.cells[0].textContent.toLowerCase();
      const found = words.every((word) => name.includes(word));
      row.hidden = !found || (!open && !words.length && shown >= Number(more.dataset.shown));
      shown += row.hidden ? 0 : 1;
    }
    more.hidden = open || words.length > 0;
  }

  filter?.addEventListener("input", sift);
  more?.addEventListener("click", () => { open = true; sift(); });
  sift();

  show(position);
})();
