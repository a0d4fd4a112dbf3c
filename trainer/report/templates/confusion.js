// Reads the cell under the pointer from the numbers that the page carries.
(() => {
  const data = JSON.parse(document.getElementById("matrix-data").textContent);
  const image = document.getElementById("confusion-matrix");
  const readout = document.getElementById("readout");
  const box = document.getElementById("matrix-box");
  if (!image) return;
  const show = (event) => {
    const area = image.getBoundingClientRect();
    const size = data.names.length;
    const column = Math.floor(((event.clientX - area.left) / area.width) * size);
    const row = Math.floor(((event.clientY - area.top) / area.height) * size);
    if (row < 0 || column < 0 || row >= size || column >= size) return;
    const [count, support] = [data.cells[row][column], data.support[row]];
    const share = support ? ` (${((100 * count) / support).toFixed(0)}%)` : "";
    const what = row === column ? "predicted correctly" : `predicted as ${data.names[column]}`;
    readout.textContent = `${data.names[row]}: ${count} of ${support} ${what}${share}`;
  };
  box.addEventListener("pointermove", show);
  box.addEventListener("pointerdown", show);
  document.getElementById("enlarge")?.addEventListener("change", (event) =>
    box.classList.toggle("large", event.target.checked));
})();
