// Every table gets a box of its own that scrolls when the screen is narrow (and can be scrolled by keyboard).
// Everything on a page can be read without it.
(() => {
  function box(table, place) {
    const name = `${table.caption?.textContent.trim() || `table ${place + 1}`}, scrolls sideways`;  // each region has its own
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
      if (wide) { div.tabIndex = 0; div.setAttribute("role", "region"); div.setAttribute("aria-label", name); }
      else { div.removeAttribute("tabindex"); div.removeAttribute("role"); div.removeAttribute("aria-label"); }
    };
    new ResizeObserver(measure).observe(div);
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".bd-article table:not(.table-scroll table)").forEach((table, place) => {
      if (!table.parentElement.closest("table, .table-scroll")) box(table, place);
    });
  });
})();
