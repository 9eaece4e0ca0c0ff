// Drawing: bars and lines by Chart.js, grids and tables as what they are. It knows no sentences.
import { make, still } from "./page.js";

const drawn = new Map();

const library = globalThis.Chart;
export const hasLibrary = Boolean(library);
if (library) {
  const { fontFamily, fontSize } = getComputedStyle(document.documentElement);
  Object.assign(library.defaults.font, { family: fontFamily, size: 0.75 * parseFloat(fontSize) });
}

/** A colour of the style sheets, as the page shows it now. */
const colour = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();

/**
 * Draw in `plot`; what is drawn there goes.
 * `kind` is bars, rows or lines; each of `series` has a `name`, a `colour`, `values`, and if it
 * likes `dashed` or `whiskers` (pairs); `format` says what a value reads like.
 */
export function plotted(plot, said, { kind, labels, series, stacked = false, format, most }) {
  clear(plot);
  const canvas = make("canvas", { role: "img", "aria-label": said });
  plot.append(canvas);
  const [quiet, line, card] = ["quiet", "line", "card"].map(colour);
  const lying = kind === "rows";
  const amounts = {
    beginAtZero: true,
    stacked,
    suggestedMax: most,
    grid: { color: line },
    border: { display: false },
    ticks: { color: quiet, maxTicksLimit: 5, callback: (value) => format(value) },
  };
  const names = {
    stacked,
    grid: { display: false },
    border: { color: line },
    ticks: { color: quiet, maxRotation: 0, autoSkip: !lying, autoSkipPadding: 16 },
  };
  if (lying) names.ticks.callback = (_, index) => short(labels[index]);
  drawn.set(
    plot,
    new library(canvas, {
      type: kind === "lines" ? "line" : "bar",
      data: { labels, datasets: series.map((each) => dataset(each, kind, labels, card)) },
      plugins: [whiskers],
      options: {
        indexAxis: lying ? "y" : "x",
        responsive: true,
        maintainAspectRatio: false,
        animation: still.matches ? false : { duration: 300 },
        interaction: { mode: "index", intersect: false, axis: lying ? "y" : "x" },
        scales: lying ? { x: amounts, y: names } : { x: names, y: amounts },
        plugins: {
          legend: {
            display: series.length > 1,
            position: "bottom",
            align: "start",
            labels: {
              color: quiet,
              usePointStyle: true,
              pointStyle: kind === "lines" ? "line" : "rectRounded",
              boxHeight: 7,
              padding: 14,
            },
          },
          tooltip: {
            backgroundColor: colour("ink"),
            titleColor: colour("paper"),
            bodyColor: colour("paper"),
            padding: 10,
            cornerRadius: 8,
            usePointStyle: true,
            boxPadding: 4,
            callbacks: { label: (item) => ` ${item.dataset.label}: ${format(item.raw)}` },
          },
        },
      },
    }),
  );
}

function dataset({ name, colour: which, values, dashed, whiskers: ranges }, kind, labels, card) {
  const ink = colour(which);
  const common = { label: name, data: values, ranges, backgroundColor: ink };
  if (kind !== "lines")
    return {
      ...common,
      borderColor: card,
      borderWidth: labels.length > 40 ? 0 : 1,
      borderRadius: labels.length > 40 ? 1 : 3,
      maxBarThickness: 34,
      categoryPercentage: 0.88,
    };
  return {
    ...common,
    borderColor: ink,
    borderWidth: 2,
    borderDash: dashed ? [5, 4] : [],
    pointRadius: labels.length > 40 ? 0 : 3,
    pointHitRadius: 12,
    tension: 0.25,
    spanGaps: true,
  };
}

const short = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

// How far off a bar may be.
const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(chart) {
    const { ctx, data, scales } = chart;
    ctx.save();
    ctx.strokeStyle = colour("ink");
    ctx.lineWidth = 1.5;
    for (const [index, { ranges }] of data.datasets.entries()) {
      if (!ranges || !chart.isDatasetVisible(index)) continue;
      for (const [place, { x }] of chart.getDatasetMeta(index).data.entries()) {
        if (!ranges[place]) continue;
        const [low, high] = ranges[place].map((value) => scales.y.getPixelForValue(value));
        ctx.stroke(new Path2D(`M${x} ${low}V${high}M${x - 4} ${low}h8M${x - 4} ${high}h8`));
      }
    }
    ctx.restore();
  },
};

/** A table of coloured cells: `cell(row, column)` gives {share, text, title, mark}. */
export function grid(plot, caption, rows, columns, cell) {
  clear(plot);
  const head = columns.map(({ name, shown }) => heading("col", name, shown));
  const body = rows.map(({ name, shown, key }) =>
    make(
      "tr",
      {},
      heading("row", name, shown),
      ...columns.map((each) => shaded(cell(key, each.key))),
    ),
  );
  plot.append(
    make(
      "table",
      { class: "grid" },
      make("caption", { class: "unseen" }, caption),
      make("thead", {}, make("tr", {}, make("td"), ...head)),
      make("tbody", {}, ...body),
    ),
  );
}

function heading(scope, name, shown) {
  const label = shown === name ? [name] : [make("span", { class: "unseen" }, name), shown ?? ""];
  return make("th", { scope }, ...label);
}

function shaded({ share, text, title, mark }) {
  const cell = make("td", { title }, text);
  cell.style.setProperty("--share", share);
  if (mark) cell.className = mark;
  return cell;
}

/** A plain table that scrolls. */
export function table(caption, heads, rows) {
  const cells = (row) => row.map((value) => make("td", {}, value));
  return make(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...heads.map((each) => make("th", { scope: "col" }, each)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))),
    ),
  );
}

/** Take away what is drawn there. */
export function clear(plot) {
  drawn.get(plot)?.destroy();
  drawn.delete(plot);
  plot.replaceChildren();
}
