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
  let tops = [0];  // of the visible rows, in pixels, and the end of the last
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
    item.style.top = `${tops[place]}px`;
    item.style.height = `${tops[place + 1] - tops[place] - GAP}px`;
    item.setAttribute("aria-posinset", place + 1);
    item.setAttribute("aria-setsize", visible.length);
    const title = el(failed(row) ? "span" : "a", "file");
    if (!failed(row)) title.href = row[LINK];
    title.append(el("b", "", row[NAME]), el("small", "", row[FOLDER]));
    const tags = el("span", "tags");
    if (failed(row)) tags.append(el("span", "message", row[TAGS]));
    else for (const [label, p] of row[TAGS]) {
      const chip = el("span", chosen.has(label) ? "chip wanted" : "chip", data.labels[label] + " ");
      const number = el("small", "", p === null ? "–" : p.toFixed(2));
      number.title = "probability in the clip";
      chip.append(number);
      tags.append(chip);
    }
    if (!failed(row) && !row[TAGS].length) tags.append(el("span", "message", "no tags"));
    item.append(title, tags, el("span", "length", row[SECONDS] === null ? "" : clock(row[SECONDS])));
    return item;
  }

  // The first row that ends below a height.
  function rowAt(y) {
    let low = 0, high = visible.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1; else high = middle;
    }
    return low;
  }

  function paint() {
    const above = Math.max(0, -list.getBoundingClientRect().top);
    const first = Math.max(0, rowAt(above) - 8);
    const last = Math.min(visible.length, rowAt(above + innerHeight) + 9);
    const wanted = visible.slice(first, last);
    const near = new Set(wanted);
    for (const [i, item] of live) if (!near.has(i)) { item.remove(); live.delete(i); }
    wanted.forEach((i, n) => {
      if (!live.has(i)) live.set(i, draw(i, first + n));
      if (list.children[n] !== live.get(i)) list.insertBefore(live.get(i), list.children[n] ?? null);
    });
  }

  const GAP = 6;  // between rows
  const pen = document.createElement("canvas").getContext("2d");
  const widths = [new Map(), new Map()];  // of names and folders, measured once

  function lines(i, column, font, room) {
    const text = data.rows[i][column];
    if (!text) return 0;
    if (!widths[column].has(i)) {
      pen.font = font;
      widths[column].set(i, pen.measureText(text).width);
    }
    return Math.max(1, Math.ceil((widths[column].get(i) * 1.02) / room));
  }

  // Names are shown whole: a row is as high as its name and folder need.
  function measure() {
    const style = getComputedStyle(list);
    const least = parseFloat(style.getPropertyValue("--row")) || 64;
    const size = parseFloat(style.fontSize) || 16;
    tops = [0];
    if (!data.rows.length) return;
    const probe = draw(0, 0);
    list.append(probe);
    const room = probe.querySelector(".file").clientWidth || 200;
    probe.remove();
    for (const i of visible) {
      const name = lines(i, NAME, `600 ${size}px ${style.fontFamily}`, room);
      const folder = lines(i, FOLDER, `400 ${0.8 * size}px ${style.fontFamily}`, room);
      const extra = 1.3 * size * (Math.max(0, name - 1) + 0.8 * Math.max(0, folder - 1));
      tops.push(tops.at(-1) + least + extra);
    }
    list.style.height = `${tops.at(-1)}px`;
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

  // A cell that begins like a formula gets a ' in front, as in the CSV of av-tag.
  const plain = (cell) => (/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell);
  const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

  function table() {
    const rows = [["file", "folder", "seconds", "label", "probability", "error"]];
    for (const i of visible) {
      const row = data.rows[i];
      const head = [row[NAME], row[FOLDER], row[SECONDS] ?? ""];
      if (failed(row)) rows.push([...head, "", "", row[TAGS]]);
      else if (!row[TAGS].length) rows.push([...head, "", "", ""]);
      else for (const [label, p] of row[TAGS]) rows.push([...head, data.labels[label], p ?? "", ""]);
    }
    const text = (cell) => quoted(typeof cell === "number" ? String(cell) : plain(cell));
    return rows.map((row) => row.map(text).join(",") + "\n").join("");
  }

  document.getElementById("csv").addEventListener("click", () => {
    const link = el("a");
    link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
    link.download = "sounds.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });

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
    else if (event.key === "?" && document.activeElement !== search) document.getElementById("keys").classList.toggle("asked");
    else return;
    event.preventDefault();
  });
  update();
})();
