"use strict";
// Searches, sorts and filters all rows; only rows near the screen are in the document.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const [NAME, FOLDER, LINK, SECONDS, TAGS] = [0, 1, 2, 3, 4];
  const list = document.getElementById("list");
  const search = document.getElementById("search");
  const order = document.getElementById("order");
  const filters = document.getElementById("filters");
  const chosen = new Set();
  const failed = (row) => row[LINK] === null;
  const haystack = data.rows.map((row) => `${row[FOLDER]}/${row[NAME]}`.toLowerCase());
  let visible = [];
  let height = 0;
  const live = new Map();  // rows in the document, by number

  const top = (row) => (failed(row) || !row[TAGS].length ? -1 : row[TAGS][0][1]);
  const sure = (row) => {
    if (failed(row)) return -2;
    const wanted = row[TAGS].filter(([label]) => chosen.has(label)).map(([, p]) => p);
    return wanted.length ? Math.max(...wanted) : top(row);
  };
  const numeric = (key, sign) => (a, b) => sign * (key(data.rows[a]) - key(data.rows[b])) || a - b;
  const orders = {
    given: (a, b) => a - b,
    name: (a, b) => data.rows[a][NAME].localeCompare(data.rows[b][NAME], undefined, { numeric: true }) || a - b,
    tags: numeric((row) => (failed(row) ? -1 : row[TAGS].length), -1),
    sure: numeric(sure, -1),
    long: numeric((row) => row[SECONDS] ?? -1, -1),
    short: numeric((row) => row[SECONDS] ?? Infinity, 1),
  };

  function matches(i, words) {
    const row = data.rows[i];
    if (words.some((word) => !haystack[i].includes(word))) return false;
    if (!chosen.size) return true;
    if (failed(row)) return chosen.has("failed");
    if (!row[TAGS].length) return chosen.has("none");
    return row[TAGS].some(([label]) => chosen.has(label));
  }

  function el(name, className, text) {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function clock(seconds) {
    const s = Math.round(seconds);
    const pad = (n) => String(n).padStart(2, "0");
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h ? `${h}:${pad(m)}:${pad(s % 60)}` : `${m}:${pad(s % 60)}`;
  }

  function draw(i, place) {
    const row = data.rows[i];
    const item = el("li", failed(row) ? "item failed" : "item");
    item.style.top = `${place * height}px`;
    item.setAttribute("aria-posinset", place + 1);
    item.setAttribute("aria-setsize", visible.length);
    const title = el(failed(row) ? "span" : "a", "file");
    if (!failed(row)) title.href = row[LINK];
    title.append(el("b", "", row[NAME]), el("small", "", row[FOLDER]));
    const tags = el("span", "tags");
    if (failed(row)) tags.append(el("span", "message", row[TAGS]));
    else for (const [label, p] of row[TAGS]) {
      const chip = el("span", chosen.has(label) ? "chip wanted" : "chip", data.labels[label] + " ");
      chip.append(el("small", "", p === null ? "–" : p.toFixed(2)));
      tags.append(chip);
    }
    if (!failed(row) && !row[TAGS].length) tags.append(el("span", "message", "no tags"));
    item.append(title, tags, el("span", "length", row[SECONDS] === null ? "" : clock(row[SECONDS])));
    return item;
  }

  function paint() {
    const above = Math.max(0, -list.getBoundingClientRect().top);
    const first = Math.max(0, Math.floor(above / height) - 8);
    const last = Math.min(visible.length, Math.ceil((above + innerHeight) / height) + 8);
    const wanted = visible.slice(first, last);
    const near = new Set(wanted);
    for (const [i, item] of live) if (!near.has(i)) { item.remove(); live.delete(i); }
    wanted.forEach((i, n) => {
      if (!live.has(i)) live.set(i, draw(i, first + n));
      if (list.children[n] !== live.get(i)) list.insertBefore(live.get(i), list.children[n] ?? null);
    });
  }

  function measure() {
    height = parseFloat(getComputedStyle(list).getPropertyValue("--row")) || 64;
    list.style.height = `${visible.length * height}px`;
  }

  function update() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    visible = data.rows.map((_, i) => i).filter((i) => matches(i, words)).sort(orders[order.value]);
    document.getElementById("count").textContent =
      visible.length === data.rows.length ? `${visible.length} files` : `${visible.length} of ${data.rows.length} files`;
    document.getElementById("empty").hidden = visible.length > 0;
    redraw();
  }

  function redraw() {
    measure();
    live.clear();
    list.replaceChildren();
    paint();
  }

  const FEW = 24;  // filters shown before "and N more"

  function addFilter(key, text, count, hidden) {
    if (!count) return;
    const button = el("button", "chip", text + " ");
    button.type = "button";
    button.setAttribute("aria-pressed", "false");
    button.append(el("small", "", String(count)));
    button.addEventListener("click", () => {
      const on = !chosen.delete(key);
      if (on) chosen.add(key);
      button.setAttribute("aria-pressed", String(on));
      update();
    });
    button.hidden = hidden;
    filters.append(button);
  }

  function addMore(count) {
    const button = el("button", "chip more", `and ${count} more`);
    button.type = "button";
    button.addEventListener("click", () => {
      for (const chip of filters.children) chip.hidden = chip === button;
    });
    filters.append(button);
  }

  const counts = data.labels.map(() => 0);
  for (const row of data.rows) if (!failed(row)) for (const [label] of row[TAGS]) counts[label]++;
  data.labels.map((label, i) => [i, label]).sort((a, b) => counts[b[0]] - counts[a[0]]).forEach(([i, label], n) => addFilter(i, label, counts[i], n >= FEW));
  addFilter("none", "no tags", data.rows.filter((row) => !failed(row) && !row[TAGS].length).length, false);
  addFilter("failed", "failed", data.rows.filter(failed).length, false);
  if (data.labels.length > FEW) addMore(data.labels.length - FEW);

  let waiting = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; paint(); });
  };
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", redraw);
  search.addEventListener("input", update);
  order.addEventListener("change", update);
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...list.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "/" && document.activeElement !== search) search.focus();
    else if (event.key === "Escape" && document.activeElement === search) { search.value = ""; update(); }
    else if (event.key === "ArrowDown" && (at >= 0 || document.activeElement === search)) links[at + 1]?.focus();
    else if (event.key === "ArrowUp" && at > 0) links[at - 1].focus();
    else return;
    event.preventDefault();
  });
  update();
})();
