// The per-image browser: cards from the page's data, filters, keys, a large view, and the state in the address (a permalink).
// Keys, while a card or the browser has the focus: arrows move, Enter enlarges, Escape closes, 1 to 4 switch an outcome,
// 0 shows all of them, c goes to the class. Photographs that are not in the page are loaded only after its button was pressed,
// and then only where they are in view.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  let wanted = false, loaded = 0, failed = 0;   // whether the reader asked for photographs, and how many came

  // A page that came by https may load nothing by http, and the server of COCO has no certificate in its own name: there the
  // same files are asked for by the name of the storage behind it.
  const reachable = address =>
    location.protocol === "https:" ? address.replace(/^http:\/\//, "https://s3.amazonaws.com/") : address;
  function tell() {
    for (const status of document.querySelectorAll(".wsl-photographs [role=status]"))
      status.textContent = `${loaded} photographs loaded` + (failed ? `; ${failed} could not be loaded: is there a network?` : ".");
  }
  function load(image) {   // the photograph of an <image>, if the reader wants it
    if (!wanted || image.hasAttribute("href") || !image.dataset.address) return;
    image.addEventListener("load", () => { loaded++; tell(); });
    image.addEventListener("error", () => { failed++; tell(); });
    image.setAttribute("href", reachable(image.dataset.address));
  }
  const inView = new IntersectionObserver(entries => {
    for (const {isIntersecting, target} of entries) if (isIntersecting) target.querySelectorAll("image").forEach(load);
  }, {rootMargin: "200px"});
  document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll(".wsl-photographs button")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        wanted = true;
        button.hidden = true;
        tell();
        document.querySelectorAll("svg.wsl-ground").forEach(ground => inView.observe(ground));
      });
    }
  });

  function part(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }
  // A score map as a picture of one pixel a cell: clear where the probability is 0, orange where it is 1.
  function heat(text, columns, rows) {
    const bytes = atob(text), canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const brush = canvas.getContext("2d"), pixels = brush.createImageData(columns, rows);
    for (let cell = 0; cell < columns * rows; cell++) {
      const both = bytes.charCodeAt(cell >> 1), step = cell % 2 ? both & 15 : both >> 4;
      pixels.data.set([255, 120, 20, 13 * step], 4 * cell);
    }
    brush.putImageData(pixels, 0, 0);
    return canvas.toDataURL();
  }
  // The picture of an entry with its boxes and crosses; large: with labels, and the map of case `shown` (-1: none).
  function draw([id, width, height, source, side, told], large, shown = -1) {
    const label = `Picture ${id}; ` + (told.map(([name, , p, x, y]) => `${name} ${p}% at ${x}, ${y}`).join("; ") || "no object");
    const ground = part("svg", {class: "wsl-ground", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label});
    if (large) ground.style.maxWidth = `calc(${width / height} * 66vh)`;   // the whole of it fits the window
    const embedded = source.startsWith("data:"), image = part("image", {width, height, preserveAspectRatio: "none"});
    if (embedded) image.setAttribute("href", source); else image.dataset.address = source;
    ground.append(image);
    load(image);
    const map = told[shown]?.[6], cell = Math.max(width, height) / side;
    if (map) {
      const columns = Math.ceil(side * width / Math.max(width, height)), rows = Math.ceil(side * height / Math.max(width, height));
      ground.append(part("image", {href: heat(map, columns, rows), width: columns * cell, height: rows * cell,
        preserveAspectRatio: "none"}));
    }
    const unit = width / (!large ? 100 : innerWidth < 600 ? 120 : 160);   // letters stay legible on a telephone
    const text = (words, x, y, size, fill, anchor) => ground.append(part("text", {x, y, fill, stroke: "#000", "stroke-width": unit,
      "paint-order": "stroke", "font-size": size * unit, "font-weight": 600, "text-anchor": anchor}, words));
    told.forEach(([name, outcome, , , , boxes], k) => {
      const stroke = k === shown ? "#ffb066" : "#fff";   // the boxes of the class whose map is shown stand out
      for (const [x0, y0, x1, y1] of boxes) {
        const place = {x: x0, y: y0, width: x1 - x0, height: y1 - y0, fill: "none"};
        ground.append(part("rect", {...place, stroke: "#000", "stroke-width": 1.3 * unit}));
        ground.append(part("rect", {...place, stroke, "stroke-width": 0.7 * unit,
          "stroke-dasharray": outcome === 3 ? "none" : 1.6 * unit}));   // dashed: the cross missed it, or there is none
      }
      if (large && boxes.length) text(name, boxes[0][0] + unit, boxes[0][1] + 4 * unit, 3.6, stroke, "start");
    });
    for (const [name, outcome, p, x, y] of told) {
      if (outcome === 2) continue;   // not detected: no cross
      const d = `M${x - 3 * unit},${y}h${6 * unit}M${x},${y - 3 * unit}v${6 * unit}`;
      for (const [stroke, width] of [["#000", 1.7], ["#ffdd33", 1]]) ground.append(part("path", {d, stroke, "stroke-width": width * unit}));
      const right = x < width * 0.7;
      if (large) text(`${name} ${p}%`, x + (right ? 4 : -4) * unit, Math.max(y - unit, 5 * unit), 4.6, "#ffdd33", right ? "start" : "end");
    }
    return ground;
  }
  function lay(entry, outcomes) {   // the card of an entry, without its picture
    const [id, width, height, , , told] = entry, card = document.createElement("div");
    Object.assign(card, {className: "wsl-browse-card", id: `image-${id}`, tabIndex: 0});
    card.setAttribute("role", "button");
    card.dataset.image = id;
    card.dataset.cases = told.map(([name, outcome]) => `${name}=${outcomes[outcome]}`).join("|");
    const place = document.createElement("div"), words = document.createElement("p"), bold = document.createElement("b");
    place.style.aspectRatio = `${width} / ${height}`;
    bold.textContent = id;
    words.append(bold);
    for (const [name, outcome, p] of told) {
      const line = document.createElement("span");
      line.className = outcome === 3 ? "hit" : "miss";
      line.textContent = `${name} ${p}%: ${outcomes[outcome]}`;
      words.append(line);
    }
    if (!told.length) words.append("no object, nothing detected");
    card.append(place, words);
    return card;
  }

  function start(root) {
    const {outcomes, pictures} = JSON.parse(root.querySelector("script").textContent);
    const form = root.querySelector("form"), cards = pictures.map(entry => lay(entry, outcomes));
    const entries = new Map(cards.map((card, k) => [card, pictures[k]]));
    const drawn = new IntersectionObserver(seen => {
      for (const {isIntersecting, target} of seen) {
        if (!isIntersecting) continue;
        drawn.unobserve(target);
        target.firstChild.append(draw(entries.get(target), false));
      }
    }, {rootMargin: "300px"});
    root.querySelector(".wsl-browse-cards").append(...cards);
    cards.forEach(card => drawn.observe(card));
    const select = form.elements["class"], boxes = [...form.querySelectorAll("input[name=outcome]")];
    const count = root.querySelector(".wsl-browse-count"), large = root.querySelector("dialog");
    const cases = new Map(cards.map(card => [card, card.dataset.cases.split("|").filter(Boolean).map(text => {
      const at = text.lastIndexOf("=");
      return [text.slice(0, at), text.slice(at + 1)];
    })]));
    let current = null;
    form.hidden = false;
    form.addEventListener("submit", event => event.preventDefault());

    const visible = () => cards.filter(card => !card.hidden);
    function filter() {
      const wanted = boxes.filter(box => box.checked).map(box => box.value), all = wanted.length === boxes.length;
      for (const card of cards) {
        const told = cases.get(card).filter(([name]) => !select.value || name === select.value);
        card.hidden = !(told.some(([, outcome]) => wanted.includes(outcome)) || (all && !select.value));
      }
      count.textContent = `${visible().length.toLocaleString("en")} of ${cards.length.toLocaleString("en")} pictures, failures first.`;
    }
    function write() {
      const state = new URLSearchParams(), off = boxes.filter(box => !box.checked);
      if (select.value) state.set("class", select.value);
      if (off.length) state.set("outcome", boxes.filter(box => box.checked).map(box => box.value).join(","));
      if (current) state.set("image", current.dataset.image);
      const text = state.toString();
      history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
    }
    function read() {
      if (!location.hash.includes("=")) return;   // an ordinary anchor
      const state = new URLSearchParams(location.hash.slice(1)), outcomes = state.get("outcome");
      select.value = [...select.options].some(o => o.value === state.get("class")) ? state.get("class") : "";
      boxes.forEach(box => { box.checked = outcomes === null || outcomes.split(",").includes(box.value); });
      filter();
      const card = cards.find(c => c.dataset.image === state.get("image"));
      if (card && !card.hidden) go(card, true);
    }
    function go(card, scroll) {
      if (!card) return;
      current?.classList.remove("current");
      current = card;
      card.classList.add("current");
      card.focus({preventScroll: true});
      card.scrollIntoView({block: scroll ? "center" : "nearest"});
      if (large.open) show(card);
      write();
    }
    function button(text, press) {
      const made = document.createElement("button");
      made.type = "button";
      made.textContent = text;
      made.addEventListener("click", press);
      return made;
    }
    function show(card) {
      const entry = entries.get(card), told = entry[5], maps = document.createElement("p"), place = document.createElement("div");
      const buttons = told.map(([name, , , , , , map], k) => map && button(name, () => choose(pressed === k ? -1 : k)));
      let pressed = -1;
      function choose(k) {   // whose score map is shown
        pressed = k;
        buttons.forEach((one, at) => one && one.setAttribute("aria-pressed", at === k));
        place.replaceChildren(draw(entry, true, k));
      }
      if (buttons.some(Boolean)) maps.append("Score map:", ...buttons.filter(Boolean));
      choose(buttons.findIndex(Boolean));
      large.replaceChildren(place, card.lastChild.cloneNode(true), maps, button("close", () => large.close()));
      if (!large.open) large.showModal();
    }
    function step(key) {
      const list = visible(), at = list.indexOf(current);
      if (at < 0) return list[0];
      if (key === "ArrowLeft") return list[at - 1];
      if (key === "ArrowRight") return list[at + 1];
      const top = current.offsetTop, left = current.offsetLeft, down = key === "ArrowDown";
      const rows = list.filter(card => down ? card.offsetTop > top : card.offsetTop < top);
      if (!rows.length) return null;
      const row = down ? rows[0].offsetTop : rows[rows.length - 1].offsetTop;
      const near = rows.filter(card => card.offsetTop === row);
      return near.reduce((a, b) => Math.abs(a.offsetLeft - left) <= Math.abs(b.offsetLeft - left) ? a : b);
    }

    form.addEventListener("change", () => { filter(); write(); });
    for (const card of cards) {
      card.addEventListener("focus", () => { if (card !== current) go(card); });
      card.addEventListener("click", () => { go(card); show(card); });
    }
    root.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target === select) return;
      const key = event.key;
      if (key.startsWith("Arrow")) go(large.open && (key === "ArrowUp" || key === "ArrowDown") ? null : step(key));
      else if (key === "Enter" && event.target.matches(".wsl-browse-card")) show(event.target);
      else if (key === "0") { boxes.forEach(box => { box.checked = true; }); filter(); write(); }
      else if (key >= "1" && key <= String(boxes.length)) { boxes[key - 1].checked ^= true; filter(); write(); }
      else if (key === "c") select.focus();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    window.addEventListener("hashchange", read);
    filter();
    read();
  }
  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".wsl-browse").forEach(start));
})();
