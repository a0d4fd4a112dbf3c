// Pointing at a trial, in the table or in a figure, shows it alone everywhere.
(() => {
  const rows = [...document.querySelectorAll("tr[data-trial]")];
  const artists = new Map(rows.map((row) => [row.dataset.trial, []]));
  for (const artist of document.querySelectorAll("figure.plot svg [id]")) {
    const trial = artist.id.match(/-(t\d+)$/)?.[1];
    if (artists.has(trial)) artists.get(trial).push(artist);
  }
  const show = (trial) => {
    for (const [name, found] of artists) {
      for (const artist of found) artist.classList.toggle("dim", trial !== null && name !== trial);
    }
    for (const row of rows) row.classList.toggle("lit", row.dataset.trial === trial);
  };
  const listen = (element, trial) => {
    element.addEventListener("pointerenter", () => show(trial));
    element.addEventListener("pointerleave", () => show(null));
  };
  for (const row of rows) listen(row, row.dataset.trial);
  for (const [trial, found] of artists) {
    const row = rows.find((each) => each.dataset.trial === trial);
    for (const artist of found) {
      const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = row.dataset.title;
      artist.prepend(title);
      artist.classList.add("artist");
      listen(artist, trial);
    }
  }
})();
