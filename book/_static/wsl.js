// Two small helps for tables; everything on a page can be read without them.
// 1. Every table gets a box of its own that scrolls when the screen is narrow (and can be scrolled by keyboard).
// 2. A table of class "sortable" gets a button in each heading; data-value on a cell wins over its text.
(() => {
  const number = text => {
    const match = text.replace(/\u2212/g, "-").replace(/,/g, "").match(/-?\d+(\.\d+)?/);
    return match ? parseFloat(match[0]) : NaN;
  };
  const value = cell => cell ? (cell.dataset.value ?? cell.textContent.trim()) : "";

  function box(table) {
    let div = table.parentElement;
    if (!div.style.overflowX) {   // a table from a notebook may bring its box along
      div = document.createElement("div");
      table.replaceWith(div);
      div.append(table);
    }
    div.classList.add("table-scroll");
    const measure = () => {
      const wide = table.scrollWidth > div.clientWidth + 1;
      div.classList.toggle("wide", wide);
      if (wide) { div.tabIndex = 0; div.setAttribute("role", "region"); div.setAttribute("aria-label", "table, scrolls sideways"); }
      else { div.removeAttribute("tabindex"); div.removeAttribute("role"); div.removeAttribute("aria-label"); }
    };
    new ResizeObserver(measure).observe(div);
  }

  function sortable(table) {
    const headings = [...(table.tHead?.rows[table.tHead.rows.length - 1]?.cells ?? [])];
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") !== "descending";
        headings.forEach(other => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const body = table.tBodies[0], rows = [...body.rows];
        const numeric = rows.filter(row => !isNaN(number(value(row.cells[column])))).length > rows.length / 2;
        const order = (a, b) => {
          const [x, y] = [a, b].map(row => value(row.cells[column]));
          if (!numeric) return (down ? 1 : -1) * x.localeCompare(y);   // words: A to Z first
          const [p, q] = [number(x), number(y)];
          if (isNaN(p) || isNaN(q)) return isNaN(p) - isNaN(q);        // no number: always last
          return down ? q - p : p - q;
        };
        body.append(...rows.sort(order));
      });
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("table.sortable").forEach(sortable);
    document.querySelectorAll(".bd-article table:not(.table-scroll table)").forEach(table => {
      if (!table.parentElement.closest("table, .table-scroll")) box(table);
    });
  });
})();
