"use strict";
// Plays the questions one after the other; answers are sent while the next one plays already.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const players = at("players"), other = at("other"), summary = at("summary");
  const WAITS = "Press Space to play: the browser waits for a key.";
  const name = (q) => `${q.key}/${q.part}`;
  let queue = [];  // the first one is asked
  let unsent = [];  // names of questions whose answers are on their way
  let sending = Promise.resolve();
  let muted = false, loaded = false, timer = 0;
  const began = Date.now();
  let given = 0;
  let refused = false; // the last answer: that is said, not that its file cannot be played

  async function ask(path, body) {
    const options = body === undefined ? {} : {
      method: "POST", keepalive: true, body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
    };
    let response;
    try {
      response = await fetch(path, options);
    } catch {
      throw new Error("av-tag review has ended; start it again, all answers that were sent are kept");
    }
    const text = await response.text();
    const found = response.headers.get("Content-Type") === "application/json" ? JSON.parse(text) : { error: text };
    if (!response.ok) throw new Error(found.error);
    return found;
  }

  function el(tag, text, parent) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  }

  function complain(error) {
    at("error").textContent = error ? error.message : "";
    at("error").hidden = !error;
  }

  // Media: one element per question; those ahead are loaded already

  function media(q, decoded) {
    const element = el(q.sound || decoded ? "audio" : "video");
    const offset = decoded ? q.start : 0;
    element.dataset.name = name(q);
    element.preload = "auto";
    if (q.keyframes.length) element.poster = `keyframe/${q.key}/0`;
    element.controls = true;
    element.hidden = true;
    element.from = q.start - offset;
    element.to = q.end - offset;
    element.src = decoded ? `sound/${q.key}/${q.part}` : `media/${q.key}`;
    element.addEventListener("loadedmetadata", () => { element.currentTime = element.from; });
    element.addEventListener("timeupdate", () => {
      if (element.currentTime >= element.to && !element.paused) element.currentTime = element.from;
      follow(q, element.currentTime + offset);
    });
    element.addEventListener("error", () => {
      if (!decoded) return element.replaceWith(media(q, true)), show();
      element.broken = true;
      show();
    });
    return element;
  }

  function show() {
    const wanted = queue.slice(0, 3).map(name);
    for (const element of [...players.children]) if (!wanted.includes(element.dataset.name)) element.removeAttribute("src"), element.remove();
    queue.slice(0, 3).forEach((q, i) => {
      let element = [...players.children].find((e) => e.dataset.name === name(q));
      if (!element) players.append(element = media(q, false));
      element.hidden = i > 0;
      element.muted = muted;
      if (i > 0) element.pause();
      else if (element.broken && !refused) complain(new Error("This file cannot be played; S skips it."));
      else if (element.paused) play(element);
    });
  }

  function play(element) {
    element.play().then(() => { if (at("error").textContent === WAITS) complain(); }, (error) => {
      if (error.name === "NotAllowedError") complain(new Error(WAITS));
    });
  }

  function follow(q, seconds) {
    const cursor = at("cursor");
    if (!cursor || !q.spectrogram || !queue[0] || name(queue[0]) !== name(q)) return;
    const [start, end] = q.spectrogram;
    cursor.style.left = `${100 * Math.min(1, Math.max(0, (seconds - start) / (end - start)))}%`;
  }

  // What is on the page

  const two = (x) => (x === null ? "–" : x.toFixed(2));
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

  function draw() {
    const q = queue[0];
    complain();
    at("asked").textContent = q ? `${q.label}?` : loaded ? "Nothing is left to ask." : "";
    for (const id of ["file", "scores", "pictures", "spectrogram"]) at(id).replaceChildren();
    at("spectrogram").hidden = !q || !q.spectrogram;
    show();
    if (!q) return;
    const more = q.parts > 1 ? ` · place ${q.part + 1} of ${q.parts}` : "";
    at("file").textContent = `${q.folder ? `${q.folder}/` : ""}${q.name} · ${clock(q.start)} – ${clock(q.end)}${more}`;
    const branches = q.heard !== null && q.seen !== null ? ` · heard ${two(q.heard)}, seen ${two(q.seen)}` : "";
    const drawn = q.sample === "random" ? " · drawn at random" : "";
    at("scores").textContent = `probability ${two(q.score)}, threshold ${two(q.threshold)}${branches}${drawn}`;
    if (q.spectrogram) spectrogram(q);
    q.keyframes.forEach((frame, i) => {
      const figure = el("figure", undefined, at("pictures"));
      const picture = el("img", undefined, figure);
      picture.src = `keyframe/${q.key}/${i}`;
      const near = q.evidence.filter((e) => Math.abs(e.time - frame.time) < 0.5).map((e) => e.object);
      picture.alt = near.join(", ") || "key frame";
      el("figcaption", `${clock(frame.time)} ${near.join(", ")}`, figure);
    });
  }

  function spectrogram(q) {
    const [start, end] = q.spectrogram;
    const box = at("spectrogram"), picture = el("img", undefined, box), mark = el("i", undefined, box);
    picture.src = `spectrogram/${q.key}`;
    picture.alt = "spectrogram";
    mark.id = "mark";
    mark.style.left = `${100 * (q.start - start) / (end - start)}%`;
    mark.style.width = `${100 * (q.end - q.start) / (end - start)}%`;
    el("i", undefined, box).id = "cursor";
  }

  function counts(p) {
    const hours = (Date.now() - began) / 3600000;
    const speed = given > 4 ? ` · ${Math.round(given / hours).toLocaleString("en")} an hour` : "";
    at("progress").textContent = `${p.answers} answers: ${p.present} yes, ${p.absent} no · ${p.units} candidates${speed}`;
  }

  // Answers

  function take(found) {
    const now = queue[0];
    const fresh = found.questions.filter((q) => !unsent.includes(name(q)));
    const rest = now ? fresh.filter((q) => name(q) !== name(now)) : fresh;
    queue = now ? [now, ...rest] : rest;
    loaded = true;
    counts(found.progress);
    if (now) show(); else draw();
  }

  function answer(kind, label) {
    const q = queue[0];
    if (!q) return;
    queue = queue.slice(1);
    unsent.push(name(q));
    given += 1;
    draw();
    const body = { key: q.key, part: q.part, answer: kind, other: label || "", reviewer: at("reviewer").value.trim() };
    sending = sending.then(() => ask("answer", body)).then((found) => {
      unsent = unsent.filter((n) => n !== name(q));
      refused = false;
      take(found);
    }).catch((error) => {
      unsent = unsent.filter((n) => n !== name(q));
      queue = [q, ...queue.filter((each) => name(each) !== name(q))];
      refused = true;
      draw();
      complain(error);
    });
  }

  function undo() {
    sending = sending.then(() => ask("undo", {})).then((found) => {
      if (found.undone === null) return complain(new Error("There is no answer to take back."));
      queue = found.questions;
      counts(found.progress);
      draw();
    }).catch(complain);
  }

  // Another class: type-ahead

  function matches() {
    const words = at("class").value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = data.labels.filter((label) => words.every((word) => label.toLowerCase().includes(word)));
    const begins = (label) => (label.toLowerCase().startsWith(words[0] || "") ? 0 : 1);
    return fits.sort((a, b) => begins(a) - begins(b)).slice(0, 8);
  }

  function suggest() {
    at("matches").replaceChildren();
    for (const label of matches()) {
      const button = el("button", label, el("li", undefined, at("matches")));
      button.type = "button";
      button.addEventListener("click", () => choose(label));
    }
  }

  function choose(label) {
    other.close();
    if (queue[0] && label === queue[0].label) answer("yes"); else answer("other", label);
  }

  at("class").addEventListener("input", suggest);
  at("class").addEventListener("keydown", (event) => {
    const [first] = matches();
    if (event.key !== "Enter" || !first) return;
    event.preventDefault();
    choose(first);
  });

  // Thresholds, fusion file, training

  const percent = (x) => (x === null ? "–" : (100 * x).toFixed(1));

  async function thresholds() {
    summary.showModal();
    await sending;
    const { classes } = await ask("thresholds");
    at("advice").replaceChildren();
    for (const c of classes) {
      const row = el("tr", undefined, at("advice"));
      const shown = [c.label, c.present, c.absent, c.threshold.toFixed(3)];
      const held = c.better ? `change, precision ${percent(c.precision)}, recall ${percent(c.recall)}` : "keep";
      const rest = c.refusal ? ["", "", "", c.refusal] : [c.suggested > 1 ? "never" : c.suggested.toFixed(3), percent(c.f1), percent(c.held_out), held];
      for (const cell of [...shown, ...rest]) el("td", cell, row);
    }
    await training();
  }

  async function training() {
    const found = await ask("training");
    at("log").textContent = found.log;
    clearTimeout(timer);
    if (found.running) timer = setTimeout(() => training().catch(complain), 1000);
    else if (found.code !== null) at("done").textContent = found.code ? "Training failed; its log says why." : "Training is done.";
  }

  const report = (error) => { at("done").textContent = error.message; };
  at("fusion").addEventListener("click", () => ask("fusion", {}).then((found) => {
    at("done").textContent = `Wrote ${found.written}: ${found.classes.join(", ")}.`;
  }, report));
  at("train").addEventListener("click", () => ask("train", {}).then((found) => {
    at("done").textContent = `Running: ${found.command.join(" ")}`;
    return training();
  }).catch(report));
  at("close").addEventListener("click", () => summary.close());

  // Keys

  const actions = {
    yes: () => answer("yes"),
    no: () => answer("no"),
    skip: () => answer("skip"),
    undo,
    "another class": () => { at("class").value = ""; suggest(); other.showModal(); at("class").focus(); },
    "play again": () => {
      const element = players.querySelector(":not([hidden])");
      if (element) element.currentTime = element.from, play(element);
    },
    mute: () => { muted = !muted; show(); },
    thresholds: () => thresholds().catch(report),
  };
  const keys = { y: "yes", n: "no", s: "skip", u: "undo", c: "another class", " ": "play again", m: "mute", t: "thresholds" };
  document.addEventListener("keydown", (event) => {
    const busy = other.open || summary.open || event.target === at("reviewer");
    const action = actions[keys[event.key.toLowerCase()]];
    if (busy || !action || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    event.preventDefault();
    action();
  });
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => { button.blur(); actions[button.dataset.do](); });
  }
  at("reviewer").value = data.reviewer;
  at("reviewer").addEventListener("keydown", (event) => { if (event.key === "Enter") event.target.blur(); });
  ask("questions").then(take).catch(complain);
})();
