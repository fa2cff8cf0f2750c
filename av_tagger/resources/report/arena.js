"use strict";
// Every table of the page can be sorted by a click on a head.
(() => {
  for (const table of document.querySelectorAll("table.sortable")) {
    table.tHead.addEventListener("click", (event) => {
      const head = event.target.closest("th");
      if (!head) return;
      const index = head.cellIndex;
      const before = head.getAttribute("aria-sort");
      const down = before === "none" ? index > 0 : before === "ascending";
      for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => (index ? Number(row.cells[index].dataset.value) : row.cells[0].textContent);
      const compare = (a, b) => (index ? key(a) - key(b) : key(a).localeCompare(key(b)));
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (down ? -1 : 1) * compare(a, b)));
    });
  }
})();
