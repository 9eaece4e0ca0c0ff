// The dashboard: the range of days, and a chart of each table of figures.
import * as charts from "./charts.js";
import { figures, findings, readable } from "./findings.js";
import { announce, byId, markPressed, onPress, pageData, reducedMotion, t } from "./page.js";

const sections = [...document.querySelectorAll(".chart")];
const range = byId("range");
const main = document.querySelector("main");
const dark = matchMedia("(prefers-color-scheme: dark)");
// What was chosen is kept in the page's address.
let chosen = new URLSearchParams(location.search);
let loading = null;
const loaded = new Map();

/** The query string of the data. */
function dataQuery(names = ["days", "from", "to"]) {
  const query = new URLSearchParams(pageData.sample ? { sample: 1 } : {});
  for (const name of names) if (chosen.get(name)) query.set(name, chosen.get(name));
  return query;
}

async function load() {
  loading?.abort();
  const own = new AbortController();
  loading = own;
  main.setAttribute("aria-busy", "true");
  byId("trouble").hidden = true;
  for (const section of sections) section.dataset.state = "loading";
  const done = await Promise.allSettled(sections.map((section) => loadOne(section, own.signal)));
  if (own.signal.aborted) return;
  byId("trouble").hidden = done.every(({ status }) => status === "fulfilled");
  main.removeAttribute("aria-busy");
  announce(byId("trouble").hidden ? sections[0].querySelector(".found").textContent : "");
  document.body.dataset.ready = "";
}

async function loadOne(section, signal) {
  const name = section.dataset.chart;
  try {
    const response = await fetch(`/dashboard/data/${name}?${dataQuery()}`, { signal });
    // Logged out meanwhile: the page shows the form to log in.
    if ([401, 403].includes(response.status)) location.reload();
    if (!response.ok) throw new TypeError(`${response.status}`);
    const { columns, rows, ...days } = await response.json();
    const records = rows.map((row) =>
      Object.fromEntries(row.map((value, index) => [columns[index], value])),
    );
    loaded.set(name, { columns, rows: records, ...days });
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
  markPressed(byId("presets"), "days", custom ? "" : (chosen.get("days") ?? "30"));
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
  link.href = `/dashboard/data/${name}.csv?${new URLSearchParams({ ...Object.fromEntries(dataQuery([])), from: data.first, to: data.last })}`;
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

/** Keep changes in the page's address; an empty value removes a parameter. */
function choose(changes) {
  for (const [name, value] of Object.entries(changes))
    value ? chosen.set(name, value) : chosen.delete(name);
  history.pushState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  updateLanguageLinks();
}

// The links to other languages keep what was chosen.
function updateLanguageLinks() {
  for (const link of document.querySelectorAll("nav a[hreflang]"))
    link.search = new URLSearchParams({ ...Object.fromEntries(chosen), lang: link.hreflang });
}

function redraw() {
  for (const section of sections) if (loaded.has(section.dataset.chart)) show(section);
}

onPress(byId("presets"), "days", (days) => {
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
byId("trouble").querySelector("button").addEventListener("click", load);
addEventListener("popstate", () => {
  chosen = new URLSearchParams(location.search);
  updateLanguageLinks();
  load();
});
for (const preference of [dark, reducedMotion]) preference.addEventListener("change", redraw);

chosen.delete("lang");
updateLanguageLinks();
if (pageData.empty && !pageData.sample) {
  for (const section of sections) section.dataset.state = "empty";
  main.removeAttribute("aria-busy");
  document.body.dataset.ready = "";
} else load();
