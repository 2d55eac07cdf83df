// Below each table a button that saves it as CSV, below each chart one that saves it as SVG: made from what the page shows.
(() => {
  function save(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], {type}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const words = node => node.textContent.replace(/\s+/g, " ").trim();
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const plain = text => text === "–" || text === "·" ? "" : /^[−–+]?\d/.test(text) ? text.replace(/^[−–]/, "-") : text;

  // A cell is its number, and what stands small below it (interval, seeds) in a column of its own.
  function halves(cell) {
    const copy = cell.cloneNode(true), small = [...copy.querySelectorAll("small")].map(part => {
      part.innerHTML = part.innerHTML.replaceAll("<br>", "; ");
      return part;
    });
    const detail = small.map(words).join("; ");
    small.forEach(part => part.remove());
    return [plain(words(copy)), detail];
  }
  function csv(table) {
    const grid = rows => rows.map(row => [...row.cells].flatMap(cell => Array(cell.colSpan).fill(cell)));
    const heads = grid([...table.tHead?.rows ?? []]), body = grid([...table.tBodies].flatMap(part => [...part.rows]));
    const width = Math.max(...heads.concat(body).map(row => row.length)), columns = [...Array(width).keys()];
    const titles = columns.map(k => [...new Set(heads.map(row => row[k] ? words(row[k]) : ""))].filter(Boolean).join(" | "));
    const cells = body.map(row => row.map(halves));
    const detailed = columns.map(k => cells.some(row => row[k]?.[1]));
    const spread = (row, more) => columns.flatMap(k => [row(k), ...(detailed[k] ? [more(k)] : [])]).map(quoted).join(",");
    const lines = cells.map(row => spread(k => row[k]?.[0] ?? "", k => row[k]?.[1] ?? ""));
    return [spread(k => titles[k], k => `${titles[k]} (detail)`), ...lines].join("\r\n") + "\r\n";
  }
  function svg(chart) {
    const copy = chart.cloneNode(true), box = chart.viewBox.baseVal;
    const {width, height} = box?.width ? box : chart.getBoundingClientRect();   // some charts are as wide as the page
    copy.removeAttribute("style");
    for (const [key, value] of Object.entries({xmlns: "http://www.w3.org/2000/svg", width, height, color: "#1e2429"}))
      copy.setAttribute(key, value);
    return new XMLSerializer().serializeToString(copy);
  }

  function offer(place, what, name, make, type, label = what) {
    const there = place.nextElementSibling?.matches(".wsl-save") && place.nextElementSibling;   // of the panel before
    const line = there || document.createElement("p"), button = document.createElement("button");
    line.className = "wsl-save";
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-label", `Save ${name} as ${what}`);
    button.addEventListener("click", () => save(`${name}.${what.toLowerCase()}`, type, make()));
    line.append(button);
    if (!there) place.after(line);
  }
  document.addEventListener("DOMContentLoaded", () => {
    const page = location.pathname.split("/").pop().replace(/\.html$/, "") || "index", count = {table: 0, figure: 0};
    const named = (part, kind) => part.querySelector(".number")?.textContent.replace(/\W+$/, "").replace(" ", "-").toLowerCase()
      ?? `${page}-${kind}-${++count[kind]}`;
    for (const table of document.querySelectorAll(".bd-article table.dataframe"))
      offer(table.closest(".table-scroll, [style*=overflow-x]") ?? table, "CSV", named(table, "table"), () => csv(table), "text/csv");
    for (const figure of document.querySelectorAll(".bd-article figure.wsl-figure")) {
      const charts = [...figure.querySelectorAll("svg[role]")], name = charts.length && named(figure, "figure");   // its panels
      charts.forEach((chart, k) => {
        const [own, label] = charts.length > 1 ? [`${name}-${k + 1}`, `SVG ${k + 1}`] : [name, "SVG"];
        offer(figure, "SVG", own, () => svg(chart), "image/svg+xml", label);
      });
    }
  });
})();
