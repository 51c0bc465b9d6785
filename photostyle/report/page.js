"use strict";
const store = JSON.parse(document.getElementById("store").textContent);

// The slider of each run: two pictures of one's choice, and where they meet. Pictures are decoded once a run is open.
for (const run of document.querySelectorAll("details.run")) {
  const slider = run.querySelector(".slider");
  if (!slider) continue;
  const buttons = [...run.querySelectorAll(".pictures button")];
  const frame = slider.querySelector(".frame");
  const range = slider.querySelector("input");
  const sides = ["left", "right"].map((side) => ({
    select: slider.querySelector(`select.${side}`),
    name: slider.querySelector(`.name.${side}`),
    image: slider.querySelector(side === "left" ? "img.before" : "img.after"),
  }));
  const show = () => {
    for (const { select, name, image } of sides) {
      const button = buttons[select.selectedIndex];
      image.src = store[button.dataset.key];
      image.alt = name.textContent = button.dataset.title;
    }
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", index === sides[1].select.selectedIndex));
  };
  for (const { select } of sides) {
    buttons.forEach((button) => select.add(new Option(button.dataset.title)));
    select.addEventListener("change", show);
  }
  sides[0].select.selectedIndex = Number(slider.dataset.before);
  sides[1].select.selectedIndex = Number(slider.dataset.after);
  buttons.forEach((button, index) => button.addEventListener("click", () => {
    sides[1].select.selectedIndex = index;
    show();
  }));
  const move = () => frame.style.setProperty("--x", `${range.value}%`);
  range.addEventListener("input", move);
  move();
  if (run.open) show();
  run.addEventListener("toggle", () => { if (run.open) show(); });
}

// A link into a run opens it.
const open = () => {
  const run = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
  if (run) { run.open = true; run.scrollIntoView(); }
};
addEventListener("hashchange", open);
open();
document.querySelectorAll("#index a").forEach((link) => link.addEventListener("click", () => {
  if (link.hash === location.hash) open();
}));

// The index: sorted by a column, filtered by words and by status. What has no value goes last either way.
const body = document.querySelector("#index tbody");
const heads = [...document.querySelectorAll("#index th")];
const order = (row, column) => {
  const { order: text } = row.cells[column].dataset;
  const number = Number(text);
  return text === "–" || text === "" ? null : Number.isNaN(number) ? text : number;
};
heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
  const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  heads.forEach((each) => each.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
  const rows = [...body.rows].sort((a, b) => {
    const [one, other] = [order(a, column), order(b, column)];
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === "number" && typeof other === "number") return sign * (one - other);
    return sign * String(one).localeCompare(String(other), undefined, { numeric: true });
  });
  body.append(...rows);
}));
const filter = document.getElementById("filter");
if (filter) {
  const words = document.getElementById("words");
  const status = document.getElementById("status");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const run = document.getElementById(row.dataset.run);
      const text = (row.textContent + run.textContent).toLowerCase();
      const fits = wanted.every((word) => text.includes(word)) && (!status?.value || row.dataset.status === status.value);
      row.hidden = run.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").textContent = `${shown} of ${body.rows.length}`;
  };
  filter.addEventListener("submit", (event) => event.preventDefault());
  words.addEventListener("input", apply);
  status?.addEventListener("change", apply);
  apply();
}
