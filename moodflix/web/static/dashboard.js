// The dashboard: which days, and a chart of each table of figures.
import * as charts from "./charts.js";
import { figures, findings, readable } from "./findings.js";
import { announce, by, onPress, pageData, press, still, t } from "./page.js";

const sections = [...document.querySelectorAll(".chart")];
const range = by("range");
const main = document.querySelector("main");
const dark = matchMedia("(prefers-color-scheme: dark)");
// The address of the page says all that was chosen.
let chosen = new URLSearchParams(location.search);
let loading = null;
const loaded = new Map();

/** What to ask the station for. */
function wanted(names = ["days", "from", "to"]) {
  const asked = new URLSearchParams(pageData.sample ? { sample: 1 } : {});
  for (const name of names) if (chosen.get(name)) asked.set(name, chosen.get(name));
  return asked;
}

async function load() {
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  main.setAttribute("aria-busy", "true");
  by("trouble").hidden = true;
  for (const section of sections) section.dataset.state = "loading";
  const done = await Promise.allSettled(sections.map((section) => loadOne(section, mine.signal)));
  if (mine.signal.aborted) return;
  by("trouble").hidden = done.every(({ status }) => status === "fulfilled");
  main.removeAttribute("aria-busy");
  announce(by("trouble").hidden ? sections[0].querySelector(".found").textContent : "");
  document.body.dataset.ready = "";
}

async function loadOne(section, signal) {
  const name = section.dataset.chart;
  try {
    const response = await fetch(`/dashboard/data/${name}?${wanted()}`, { signal });
    // Logged out meanwhile: the page says how to come back.
    if ([401, 403].includes(response.status)) location.reload();
    if (!response.ok) throw new TypeError(`${response.status}`);
    const { columns, rows, ...days } = await response.json();
    const named = rows.map((row) =>
      Object.fromEntries(row.map((it, place) => [columns[place], it])),
    );
    loaded.set(name, { columns, rows: named, ...days });
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof TypeError)) console.error(error);
    loaded.delete(name);
    section.dataset.state = "failed";
    section.querySelector(".found").textContent = t("load-failed");
    throw error;
  }
  showDays(loaded.get(name));
  show(section);
}

function showDays({ first, last }) {
  const { from, to } = range.elements;
  [from.value, to.value] = [first, last];
  [from.max, to.min] = [last, first];
  const custom = chosen.get("from") || chosen.get("to");
  press(by("presets"), "days", custom ? "" : (chosen.get("days") ?? "30"));
}

function show(section) {
  const name = section.dataset.chart;
  const data = loaded.get(name);
  if (!data) return;
  const picker = section.querySelector("select");
  const picked = [...(picker?.options ?? [])].find(({ value }) => value === chosen.get(name));
  const { found, draw, rows } = findings[name](data, picked?.value, picker);
  section.dataset.state = draw ? "ready" : "empty";
  section.querySelector(".found").textContent = found ?? t(`empty-${name}`);
  const link = section.querySelector(".csv");
  link.href = `/dashboard/data/${name}.csv?${new URLSearchParams({ ...Object.fromEntries(wanted([])), from: data.first, to: data.last })}`;
  const plot = section.querySelector(".plot");
  const drawn = plot.querySelector(".drawn") ?? plot.appendChild(document.createElement("div"));
  drawn.className = "drawn";
  charts.clear(drawn);
  draw?.(drawn, found);
  showTable(section, data, rows ?? data.rows);
  const figure = figures[name]?.(data);
  if (figure) document.querySelector(`[data-figure=${figure.name}] dd`).textContent = figure.text;
}

function showTable(section, { columns }, rows) {
  const details = section.querySelector("details");
  if (!details) return;
  details.querySelector(".scroll")?.remove();
  const fill = () => {
    if (!details.open || details.querySelector(".scroll")) return;
    const caption = section.querySelector("h2").textContent;
    const heads = columns.map((each) => t(`column-${each}`));
    details.append(
      charts.table(
        caption,
        heads,
        rows.map((row) => columns.map((each) => readable(each, row[each]))),
      ),
    );
  };
  details.ontoggle = fill;
  if (!charts.hasLibrary) details.open = true;
  fill();
}

/** Remember in the address, and show it. */
function choose(changes) {
  for (const [name, value] of Object.entries(changes))
    value ? chosen.set(name, value) : chosen.delete(name);
  history.pushState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  speakLinks();
}

// Another language shows the same days.
function speakLinks() {
  for (const link of document.querySelectorAll("nav a[hreflang]"))
    link.search = new URLSearchParams({ ...Object.fromEntries(chosen), lang: link.hreflang });
}

function drawAgain() {
  for (const section of sections) if (loaded.has(section.dataset.chart)) show(section);
}

onPress(by("presets"), "days", (days) => {
  choose({ days, from: "", to: "" });
  load();
});
range.addEventListener("submit", (event) => event.preventDefault());
range.addEventListener("change", () => {
  const { from, to } = range.elements;
  if (!range.reportValidity()) return;
  choose({ days: "", from: from.value, to: to.value });
  load();
});
for (const section of sections)
  section.querySelector("select")?.addEventListener("change", ({ target }) => {
    choose({ [target.name]: target.value });
    show(section);
  });
by("trouble").querySelector("button").addEventListener("click", load);
addEventListener("popstate", () => {
  chosen = new URLSearchParams(location.search);
  speakLinks();
  load();
});
for (const wish of [dark, still]) wish.addEventListener("change", drawAgain);

chosen.delete("lang");
speakLinks();
if (pageData.empty && !pageData.sample) {
  for (const section of sections) section.dataset.state = "empty";
  main.removeAttribute("aria-busy");
  document.body.dataset.ready = "";
} else load();
