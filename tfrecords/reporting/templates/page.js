// Navigation from the page's own sections.
(() => {
  const nav = document.querySelector("nav.sections");
  const sections = [...document.querySelectorAll("section.panel[id]")];
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
