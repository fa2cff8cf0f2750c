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
  let position = data.start;

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
    for (const p of playheads) p.style.left = `${100 * share}%`;
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
    if (media.readyState > 0 && !media.seeking) show(media.currentTime);
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
    return clamp(data.start + (span * (event.clientX - box.left)) / box.width);
  }

  for (const cover of covers) {
    const ghost = cover.querySelector(".ghost");
    cover.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      seek(timeAt(cover, event));
      if (event.pointerType === "mouse") cover.setPointerCapture(event.pointerId);
    });
    cover.addEventListener("pointermove", (event) => {
      const t = timeAt(cover, event);
      ghost.style.left = `${(100 * (t - data.start)) / span}%`;
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
    else if (event.key === " ") media.paused ? media.play().catch(() => {}) : media.pause();
    else return;
    event.preventDefault();
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
  });

  show(position);
})();
