// Navigation from the page's own sections.
(() => {
  const nav = document.querySelector("nav.sections");
  const sections = [...document.querySelectorAll("section.panel[id]")].filter((section) => section.offsetParent);
  if (sections.length < 2) return;
  const bar = document.createElement("div");
  const links = new Map(sections.map((section) => {
    const link = document.createElement("a");
    link.href = "#" + section.id;
    link.textContent = section.dataset.short || section.querySelector("h2").textContent;
    bar.append(link);
    return [section, link];
  }));
  nav.append(bar);
  nav.hidden = false;
  const mark = () => {
    const passed = sections.filter((section) => section.getBoundingClientRect().top < 120);
    const here = passed.at(-1);
    links.forEach((link, section) => link.classList.toggle("here", section === here));
  };
  document.addEventListener("scroll", mark, { passive: true });
  mark();
})();

// A click on a heading sorts; cells compare by data-value where they have one.
for (const table of document.querySelectorAll("table.sortable")) {
  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.value ?? cell.textContent.trim();
  };
  const compare = (a, b) => {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? 1 : -1;
    const difference = Number(a) - Number(b);
    return Number.isNaN(difference) ? a.localeCompare(b, undefined, { numeric: true }) : difference;
  };
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const sort = () => {
      const descending = heading.ariaSort
        ? heading.ariaSort === "ascending"
        : heading.classList.contains("number");
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        // Unknown values stay last either way.
        return x === "" || y === "" ? compare(x, y) : (descending ? -1 : 1) * compare(x, y);
      });
      body.append(...rows);
    };
    heading.tabIndex = 0;
    heading.addEventListener("click", sort);
    heading.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
    });
  });
}

// A field above a long table or list leaves the rows that have all of the words typed into it.
for (const table of document.querySelectorAll(".filterable")) {
  const rows = [...(table.tBodies ? table.tBodies[0].rows : table.children)];
  if (rows.length < 8) continue;
  const said = (element) => element.title || element.textContent;
  const texts = rows.map((row) => [...(row.cells || [row.firstElementChild])].map(said).join(" ").toLowerCase());
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Filter " + rows.length.toLocaleString("en") + (table.tBodies ? " rows" : " classes");
  field.setAttribute("aria-label", field.placeholder);
  const shown = document.createElement("span");
  shown.className = "note";
  shown.setAttribute("aria-live", "polite");
  const bar = document.createElement("div");
  bar.className = "filter";
  bar.append(field, shown);
  (table.closest(".scroll, .box") || table).before(bar);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      count += !row.hidden;
    });
    shown.textContent = words.length ? count.toLocaleString("en") + " of " + rows.length.toLocaleString("en") : "";
  });
}

// A click on a picture enlarges it; the arrow keys lead to the next one, Escape and a click close.
(() => {
  const pictures = [...document.querySelectorAll("main figure img, main .set img, main .tiles i")];
  if (!pictures.length || !window.HTMLDialogElement) return;
  const box = document.createElement("dialog");
  box.className = "lightbox";
  box.innerHTML = "<div></div><p></p>";
  const [place, text] = box.children;
  document.body.append(box);
  let at = 0;
  const show = (index) => {
    at = (index + pictures.length) % pictures.length;
    const from = pictures[at];
    const copy = from.cloneNode();
    copy.removeAttribute("title");
    copy.removeAttribute("loading");
    if (from.tagName === "I") copy.style.setProperty("--strip", getComputedStyle(from).getPropertyValue("--strip"));
    place.replaceChildren(copy);
    const caption = from.closest("figure")?.querySelector("figcaption")?.innerText.replace(/\s+/g, " ") ?? "";
    text.textContent = [from.title, caption].filter(Boolean).join(" — ");
  };
  pictures.forEach((picture, index) => {
    picture.classList.add("zoomable");
    picture.addEventListener("click", () => { show(index); box.showModal(); });
  });
  box.addEventListener("click", () => box.close());
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
})();

// Where nothing hovers, as on a phone, a tap on a term writes its meaning below it.
for (const term of document.querySelectorAll("[data-meaning]")) {
  const tell = () => {
    const next = term.parentElement.querySelector(".meaning");
    if (next) { next.remove(); return; }
    const text = document.createElement("div");
    text.className = "meaning";
    text.textContent = term.title;
    term.parentElement.append(text);
  };
  term.addEventListener("click", tell);
  term.addEventListener("keydown", (event) => { if (event.key === "Enter") tell(); });
}
