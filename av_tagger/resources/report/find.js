"use strict";
// A click on a time plays it in the player of its hit; only one player runs at a time.
(() => {
  const players = [...document.querySelectorAll(".player video, .player audio")];

  function play(media, seconds) {
    const go = () => {
      media.currentTime = seconds;
      media.play().catch(() => {});
    };
    if (media.readyState > 0) go();
    else {
      media.addEventListener("loadedmetadata", go, { once: true });
      media.preload = "metadata";
      media.load();
    }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-player]");
    const media = button && document.getElementById(button.dataset.player);
    if (media) play(media, Number(button.dataset.seek));
  });
  for (const media of players) {
    media.addEventListener("play", () => {
      for (const other of players) if (other !== media) other.pause();
    });
  }
})();
