// Every table gets a box of its own. One that is wider than its box is stacked: each row a block, each cell beside the name of its
// column, so that nothing is cut off on a narrow screen. What a mark or a cell says in its title shows at once, on a touch as well.
// Everything on a page can be read without it.
(() => {
  function heads(table) {   // cell -> the heads above it, from the top
    const grid = [];
    for (const row of table.tHead?.rows ?? []) {
      let place = 0;
      const line = [];
      for (const cell of row.cells)
        for (let k = 0; k < cell.colSpan; k++) line[place++] = cell.textContent.trim();
      grid.push(line);
    }
    for (const body of table.tBodies)
      for (const row of body.rows)
        for (const cell of row.cells) {
          const above = grid.map(line => line[cell.cellIndex]).filter(Boolean);
          const bare = /^[\d.,]+$/.test(cell.textContent.trim());   // a number says nothing without the name of its column
          if (cell.tagName === "TD" || bare) cell.dataset.head = [...new Set(above)].join(", ");
          cell.classList.toggle("none", /^[–·]?$/.test(cell.textContent.trim()));   // says nothing: left out of a stack
        }
  }

  function box(table) {
    let div = table.parentElement;
    if (!div.style.overflowX) {   // a table from a notebook may bring its box along
      div = document.createElement("div");
      table.replaceWith(div);
      div.append(table);
    }
    div.classList.add("table-scroll");
    div.removeAttribute("tabindex");
    heads(table);
    let width = 0;
    new ResizeObserver(() => {
      if (div.clientWidth === width) return;
      width = div.clientWidth;
      const wide = () => table.scrollWidth > width + 1;
      div.classList.remove("tight", "stacked");
      div.classList.toggle("tight", wide());
      div.classList.toggle("stacked", wide());
    }).observe(div);
  }

  function tips() {
    const tip = document.createElement("div");
    tip.className = "wsl-tip";
    tip.hidden = true;
    document.body.append(tip);
    for (const title of document.querySelectorAll(".wsl-intervals title")) {   // or the browser would show it, too, and late
      title.parentElement.dataset.tip = title.textContent;
      title.remove();
    }
    for (const cell of document.querySelectorAll(".bd-article td[title], .bd-article abbr[title]")) cell.dataset.tip = cell.title;
    document.addEventListener("pointerover", event => {
      const from = event.target.closest?.("[data-tip]");
      tip.hidden = !from;
      if (!from) return;
      from.removeAttribute("title");
      tip.textContent = from.dataset.tip;
      tip.style.left = `${Math.max(8, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8))}px`;
      tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".bd-article table:not(.table-scroll table)").forEach(table => {
      if (!table.parentElement.closest("table, .table-scroll")) box(table);
    });
    tips();
  });
})();
