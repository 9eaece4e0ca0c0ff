// Draws charts: bars and lines by Chart.js, grids and tables as HTML. Texts come from the caller.
import { make, reducedMotion } from "./page.js";

// Element -> the chart in it.
const charts = new Map();

const library = globalThis.Chart;
export const hasLibrary = Boolean(library);
if (library) {
  const { fontFamily, fontSize } = getComputedStyle(document.documentElement);
  Object.assign(library.defaults.font, { family: fontFamily, size: 0.75 * parseFloat(fontSize) });
}

/** A colour of the style sheets, in the page's colour scheme. */
const colour = (name) => getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();

/**
 * Draw a chart in `element`, replacing the one there; `description` is for screen readers.
 * `kind` is bars, rows or lines; each of `series` has `name`, `colour`, `values` and optionally
 * `dashed` or `whiskers` (pairs); `format` turns a value into text; `max` is the axis' least end.
 */
export function plot(element, description, { kind, labels, series, stacked = false, format, max }) {
  clear(element);
  const canvas = make("canvas", { role: "img", "aria-label": description });
  element.append(canvas);
  const [quiet, line, card] = ["quiet", "line", "card"].map(colour);
  const isHorizontal = kind === "rows";
  const valueAxis = {
    beginAtZero: true,
    stacked,
    suggestedMax: max,
    grid: { color: line },
    border: { display: false },
    ticks: { color: quiet, maxTicksLimit: 5, callback: (value) => format(value) },
  };
  const labelAxis = {
    stacked,
    grid: { display: false },
    border: { color: line },
    ticks: { color: quiet, maxRotation: 0, autoSkip: !isHorizontal, autoSkipPadding: 16 },
  };
  if (isHorizontal) labelAxis.ticks.callback = (_, index) => shortened(labels[index]);
  charts.set(
    element,
    new library(canvas, {
      type: kind === "lines" ? "line" : "bar",
      data: { labels, datasets: series.map((each) => dataset(each, kind, labels, card)) },
      plugins: [whiskers],
      options: {
        indexAxis: isHorizontal ? "y" : "x",
        responsive: true,
        maintainAspectRatio: false,
        animation: reducedMotion.matches ? false : { duration: 300 },
        interaction: { mode: "index", intersect: false, axis: isHorizontal ? "y" : "x" },
        scales: isHorizontal ? { x: valueAxis, y: labelAxis } : { x: labelAxis, y: valueAxis },
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

const shortened = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

// A line over each bar from one value to another, such as a confidence interval.
const whiskers = {
  id: "whiskers",
  afterDatasetsDraw(chart) {
    const { ctx, data, scales } = chart;
    ctx.save();
    ctx.strokeStyle = colour("ink");
    ctx.lineWidth = 1.5;
    for (const [index, { ranges }] of data.datasets.entries()) {
      if (!ranges || !chart.isDatasetVisible(index)) continue;
      for (const [at, { x }] of chart.getDatasetMeta(index).data.entries()) {
        if (!ranges[at]) continue;
        const [low, high] = ranges[at].map((value) => scales.y.getPixelForValue(value));
        ctx.stroke(new Path2D(`M${x} ${low}V${high}M${x - 4} ${low}h8M${x - 4} ${high}h8`));
      }
    }
    ctx.restore();
  },
};

/** A table of shaded cells: `cell(rowKey, columnKey)` gives {share, text, title, mark}. */
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

/** Remove the chart or grid in an element. */
export function clear(plot) {
  charts.get(plot)?.destroy();
  charts.delete(plot);
  plot.replaceChildren();
}
