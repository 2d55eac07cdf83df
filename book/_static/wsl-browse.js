// The per-image browser: filters, keys, a large view, and the state in the address (a permalink).
// Keys, while a card or the browser has the focus: arrows move, Enter enlarges, Escape closes, 1 to 4 switch an outcome,
// 0 shows all of them, c goes to the class.
(() => {
  function start(root) {
    const form = root.querySelector("form"), cards = [...root.querySelectorAll(".wsl-browse-card")];
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
      count.textContent = `${visible().length} of ${cards.length} pictures, failures first.`;
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
    function show(card) {
      const close = document.createElement("button");
      close.type = "button";
      close.textContent = "close";
      close.addEventListener("click", () => large.close());
      large.replaceChildren(...[...card.childNodes].map(node => node.cloneNode(true)), close);
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
