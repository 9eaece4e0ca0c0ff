// For each table of figures, what it shows: a sentence and a chart.
import * as charts from "./charts.js";
import { drawing, label, make, pageData, t } from "./page.js";

const { language, moods, recommenders } = pageData;
const SOURCES = ["list", ...recommenders];
const OUTCOMES = ["used", "partial", "unavailable", "off"];
// The first rank of each group of ranks.
const RANKS = [1, 2, 4, 6, 11];
const DAY = 24 * 3600 * 1000;
const MAX_BARS = 120;

const number = new Intl.NumberFormat(language);
const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const precisePercent = new Intl.NumberFormat(language, {
  style: "percent",
  maximumFractionDigits: 1,
});
const unit = { style: "unit", unit: "second", unitDisplay: "narrow", maximumSignificantDigits: 2 };
const seconds = new Intl.NumberFormat(language, unit);
const dates = (options) => new Intl.DateTimeFormat(language, { timeZone: "UTC", ...options });
const shortDay = dates({ day: "numeric", month: "short" });
const longDay = dates({ weekday: "long", day: "numeric", month: "long" });
const weekday = dates({ weekday: "long" });
const shortWeekday = dates({ weekday: "short" });
const hour = dates({ hour: "numeric" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

const share = (value) => (value < 0.1 ? precisePercent : percent).format(value);
// 1 January 2024 was a Monday.
const dayOfWeek = (index, format = weekday) => format.format(Date.UTC(2024, 0, 1 + index));
const hourOf = (index) => hour.format(Date.UTC(2024, 0, 1, index));
const source = (name) => t(`by-${name}`);
const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);
const rowWithMost = (rows, name) =>
  rows.reduce((most, row) => (row[name] > most[name] ? row : most));

/** A value of a table as text in the person's language. */
export function readable(column, value) {
  if (value === null) return "–";
  const format = {
    day: (day) => longDay.format(Date.parse(day)),
    made_at: (at) => moment.format(Date.parse(at)),
    weekday: dayOfWeek,
    hour: hourOf,
    mood: (mood) => label("mood", mood),
    recommender: source,
    status: (status) => label("outcome", status),
    worse: (worse) => t(worse ? "yes" : "no"),
    rank: (rank) => (rank === RANKS.at(-1) ? t("rank-11") : number.format(rank)),
    title: String,
    median: (value) => seconds.format(value),
    p95: (value) => seconds.format(value),
  }[column];
  if (format) return format(value);
  return Number.isInteger(value) && !["share", "low", "high"].includes(column)
    ? number.format(value)
    : share(value);
}

/**
 * Values for a chart over time, at most MAX_BARS: one per day, week or some four weeks, from the
 * first day that has a row; `combine` makes a value of the rows of one such period. The earliest
 * period may begin before that day.
 */
function byPeriod({ rows, last }, combine) {
  const [oldest] = [last, ...rows.map((row) => row.day)].sort();
  const days = (Date.parse(last) - Date.parse(oldest)) / DAY + 1;
  const daysPerBar = days / MAX_BARS;
  const step = daysPerBar <= 1 ? 1 : daysPerBar <= 7 ? 7 : 28 * Math.ceil(daysPerBar / 28);
  const periods = Array.from({ length: Math.ceil(days / step) }, () => []);
  const start = Date.parse(last) - (periods.length * step - 1) * DAY;
  for (const row of rows) periods[Math.floor((Date.parse(row.day) - start) / DAY / step)].push(row);
  const labels = periods.map((_, index) => shortDay.format(start + index * step * DAY));
  return { days, labels, values: periods.map(combine) };
}

/** The median of a column, each row counted as often as its column `weight` says. */
function weightedMedian(rows, name, weight) {
  const sorted = rows.filter((row) => row[name] !== null).sort((a, b) => a[name] - b[name]);
  const half = sum(sorted, weight) / 2;
  let passed = 0;
  return sorted.find((row) => {
    passed += row[weight];
    return passed >= half;
  })?.[name];
}

const plot = (spec) => (element, description) =>
  charts.hasLibrary && charts.plot(element, description, spec);

function choices(data) {
  if (!sum(data.rows, "choices")) return {};
  const { days, labels, values } = byPeriod(data, (rows) => sum(rows, "choices"));
  const top = rowWithMost(data.rows, "choices");
  const found = t("found-choices", {
    count: number.format(sum(data.rows, "choices")),
    days: number.format(days),
    day: longDay.format(Date.parse(top.day)),
    most: number.format(top.choices),
  });
  const series = [{ name: t("column-choices"), colour: "bar", values }];
  return { found, draw: plot({ kind: "bars", labels, series, format: number.format }) };
}

function hours({ rows }, picked, picker) {
  const mood = picked ?? "all";
  picker.value = mood;
  const cells = Array.from({ length: 7 }, () => Array(24).fill(0));
  for (const row of rows)
    if (mood === "all" || row.mood === mood) cells[row.weekday][row.hour] += row.choices;
  const flat = cells.flat();
  const [count, most] = [flat.reduce((a, b) => a + b, 0), Math.max(...flat)];
  if (!count) return {};
  const top = flat.indexOf(most);
  const found = t("found-hours", {
    mood: label("mood", mood),
    weekday: dayOfWeek(Math.floor(top / 24)),
    hour: hourOf(top % 24),
    share: share(most / count),
    count: number.format(count),
  });
  const days = cells.map((_, key) => ({
    key,
    name: dayOfWeek(key),
    shown: dayOfWeek(key, shortWeekday),
  }));
  const columns = cells[0].map((_, key) => ({
    key,
    name: hourOf(key),
    shown: key % 6 ? "" : String(key),
  }));
  const cell = (day, at) => ({
    share: cells[day][at] / most,
    text: make("span", { class: "unseen" }, number.format(cells[day][at])),
    title: `${dayOfWeek(day)} ${hourOf(at)}: ${number.format(cells[day][at])}`,
  });
  return {
    found,
    draw: (element, description) => charts.grid(element, description, days, columns, cell),
  };
}

function films({ rows }, picked, picker) {
  if (!rows.length) return {};
  const mood =
    picked ??
    rowWithMost(
      moods.map((it) => ({ it, n: sum(rowsWith(rows, "mood", it), "choices") })),
      "n",
    ).it;
  picker.value = mood;
  const mine = rowsWith(rows, "mood", mood).sort((a, b) => b.choices - a.choices);
  if (!mine.length) return {};
  const found = t("found-films", {
    mood: label("mood", mood),
    title: mine[0].title,
    most: number.format(mine[0].choices),
    count: number.format(sum(mine, "choices")),
  });
  const labels = mine.map(({ title }) => title);
  const values = mine.map((row) => row.choices);
  const series = [{ name: label("mood", mood), colour: "bar", values }];
  return { found, rows: mine, draw: plot({ kind: "rows", labels, series, format: number.format }) };
}

const rowsWith = (rows, name, value) => rows.filter((row) => row[name] === value);

function origins({ rows }) {
  const listed = rowsWith(rows, "recommender", "list");
  if (!sum(listed, "choices")) return {};
  const bucket = (rank) => RANKS.findLast((from) => rank >= from);
  const counts = SOURCES.slice(1).map((name) => ({
    name,
    choices: sum(rowsWith(rows, "recommender", name), "choices"),
  }));
  const found = t("found-origins", {
    count: number.format(sum(listed, "choices")),
    first: share(sum(rowsWith(listed, "rank", 1), "choices") / sum(listed, "choices")),
    source: source(rowWithMost(counts, "choices").name),
  });
  const series = RANKS.map((from) => ({
    name: t(`rank-${from}`),
    colour: `rank-${from}`,
    values: SOURCES.map((name) =>
      sum(
        rowsWith(rows, "recommender", name).filter(({ rank }) => bucket(rank) === from),
        "choices",
      ),
    ),
  }));
  const labels = SOURCES.map(source);
  return {
    found,
    draw: plot({ kind: "rows", labels, series, stacked: true, format: number.format }),
  };
}

const firstFive = ({ rows }) =>
  rows.find(({ recommender, k }) => recommender === "list" && k === 5);

function acceptance(data) {
  const five = firstFive(data);
  if (!five?.shown) return {};
  const found = t("found-acceptance", {
    share: share(five.share),
    low: share(five.low),
    high: share(five.high),
  });
  const ks = [1, 3, 5];
  const at = (name, k) =>
    rowsWith(data.rows, "recommender", name).find((row) => row.k === k && row.shown);
  const series = SOURCES.filter((name) => at(name, 5)).map((name) => ({
    name: source(name),
    colour: name,
    values: ks.map((k) => at(name, k)?.share ?? null),
    whiskers: ks.map((k) => at(name, k) && [at(name, k).low, at(name, k).high]),
  }));
  const labels = ks.map((k) => t(`first-${k}`));
  const max = Math.max(...data.rows.map(({ high }) => high ?? 0));
  return { found, draw: plot({ kind: "bars", labels, series, format: percent.format, max }) };
}

// The rows in which a mood was both read and given by the person.
const comparable = ({ rows }) => rows.filter(({ read, said }) => read && said);
const corrected = (rows) => rows.filter(({ read, said }) => read !== said);

function readings(data) {
  const rows = comparable(data);
  const count = sum(rows, "answers");
  if (!count) return {};
  const mistakes = corrected(rows);
  let found = t("found-readings", {
    share: share(sum(mistakes, "answers") / count),
    count: number.format(count),
  });
  if (mistakes.length) {
    const { read, said } = rowWithMost(mistakes, "answers");
    const names = { read: label("mood", read), said: label("mood", said) };
    found += ` ${t("found-mistaken", names)}`;
  }
  const headings = () =>
    moods.map((key) => ({ key, name: label("mood", key), shown: drawing(key) }));
  const cell = (read, said) => {
    const ofRow = rowsWith(rows, "read", read);
    const answers = sum(rowsWith(ofRow, "said", said), "answers");
    const part = answers / sum(ofRow, "answers") || 0;
    return {
      share: part,
      text: answers ? Math.round(100 * part) : "",
      title: `${label("mood", read)} → ${label("mood", said)}: ${number.format(answers)}`,
      mark: read === said ? "right" : "",
    };
  };
  return {
    found,
    draw: (element, description) => charts.grid(element, description, headings(), headings(), cell),
  };
}

function waitingTimes(data) {
  if (!data.rows.length) return {};
  const found = t("found-seconds", {
    median: seconds.format(weightedMedian(data.rows, "median", "answers")),
    p95: seconds.format(rowWithMost(data.rows, "p95").p95),
  });
  const { labels, values } = byPeriod(data, (rows) => ({
    median: weightedMedian(rows, "median", "answers") ?? null,
    p95: rows.length ? rowWithMost(rows, "p95").p95 : null,
  }));
  const series = [
    { name: t("time-median"), colour: "list", values: values.map(({ median }) => median) },
    { name: t("time-p95"), colour: "llm", values: values.map(({ p95 }) => p95), dashed: true },
  ];
  return { found, draw: plot({ kind: "lines", labels, series, format: seconds.format }) };
}

function llm(data) {
  const count = (name) => sum(rowsWith(data.rows, "status", name), "answers");
  const requests = sum(data.rows, "answers") - count("off");
  if (!data.rows.length) return {};
  const found = requests
    ? t("found-llm", {
        share: share((count("used") + count("partial")) / requests),
        count: number.format(requests),
        failed: number.format(count("unavailable")),
      })
    : t("found-llm-off");
  const { labels, values } = byPeriod(data, (rows) => rows);
  const series = OUTCOMES.filter(count).map((status) => ({
    name: t(`outcome-${status}`),
    colour: status,
    values: values.map((rows) => sum(rowsWith(rows, "status", status), "answers")),
  }));
  return {
    found,
    draw: plot({ kind: "bars", labels, series, stacked: true, format: number.format }),
  };
}

function models({ rows }) {
  const evaluated = rows.filter(({ hit10 }) => hit10 !== null);
  if (!evaluated.length) return {};
  const newest = evaluated.at(-1);
  const found = t("found-models", {
    hit10: share(newest.hit10),
    popularity: share(newest.popularity_hit10),
  });
  const labels = evaluated.map(({ made_at }) => shortDay.format(Date.parse(made_at)));
  const line = (name, colour, column, dashed) => ({
    name,
    colour,
    dashed,
    values: evaluated.map((row) => row[column]),
  });
  const series = [
    line(t("model-learned"), "context", "hit10", false),
    line(t("model-popularity"), "catalogue", "popularity_hit10", true),
  ];
  return { found, draw: plot({ kind: "lines", labels, series, format: percent.format }) };
}

/**
 * By the table's name, a function of its data: it returns a sentence (`found`) and how to `draw` the
 * chart, neither if the table is empty, and the `rows` of the mood that was picked, if one was.
 */
export const findings = {
  choices,
  hours,
  films,
  readings,
  acceptance,
  origins,
  models,
  seconds: waitingTimes,
  llm,
};

/** The figures at the top of the page, by the table they are taken from. */
export const figures = {
  choices: ({ rows }) => ({ name: "choices", text: number.format(sum(rows, "choices")) }),
  acceptance: (data) => figure("accepted", firstFive(data)?.shown && share(firstFive(data).share)),
  readings(data) {
    const rows = comparable(data);
    const part = sum(corrected(rows), "answers") / sum(rows, "answers");
    return figure("corrected", rows.length && share(part));
  },
  seconds: ({ rows }) =>
    figure("median", rows.length && seconds.format(weightedMedian(rows, "median", "answers"))),
};

const figure = (name, text) => ({ name, text: text || "–" });
