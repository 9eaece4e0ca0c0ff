// A poster drawn from a film's title and genres, always the same for the same film.
import { displayTitle, makeSvg } from "./page.js";

const WIDE = 200;
const HIGH = 300;

// Colours of each palette: background, far, near and light shapes.
const PALETTES = {
  dusk: ["#2b2140", "#5b3a63", "#c4576a", "#f6b26b"],
  sea: ["#0f2f3f", "#1d5566", "#3f9a9a", "#f2e3bc"],
  night: ["#101727", "#22304f", "#4b6396", "#e8e2cf"],
  rust: ["#3a1713", "#7c2d1e", "#c8562c", "#f3c98b"],
  forest: ["#14241d", "#25493a", "#5f8f63", "#ecdfb0"],
  noir: ["#141414", "#2e2c2a", "#6f6a63", "#efe6d4"],
  rose: ["#4a1630", "#8d2c4d", "#e0718a", "#fde0cf"],
  sun: ["#7a2f12", "#d9752b", "#f2b441", "#fff3d6"],
  mint: ["#123c3a", "#2a7f74", "#f0a868", "#fbf1dc"],
  blood: ["#170b0d", "#3d1015", "#9c1f24", "#f0d9c4"],
};

// The drawing and the palettes of each genre; the first genre here that a film has decides.
const STYLES = {
  "sci-fi": [orbits, "night", "sea"],
  horror: [trunks, "blood", "noir"],
  western: [hills, "rust", "sun"],
  war: [hills, "noir", "rust"],
  noir: [blinds, "noir", "night"],
  musical: [waves, "rose", "sun"],
  music: [waves, "dusk", "mint"],
  animation: [tiles, "mint", "sun", "sea"],
  fantasy: [sky, "dusk", "night", "forest"],
  mystery: [trunks, "forest", "night"],
  romance: [circles, "rose", "dusk", "sea"],
  documentary: [arcs, "sea", "forest"],
  sport: [arcs, "sun", "mint"],
  thriller: [blinds, "blood", "night", "sea"],
  crime: [city, "noir", "rust", "night"],
  action: [city, "rust", "dusk", "blood"],
  adventure: [hills, "forest", "sea", "sun"],
  comedy: [tiles, "sun", "rose", "mint"],
  family: [sky, "mint", "sea", "sun"],
  history: [arcs, "rust", "noir"],
  biography: [arcs, "dusk", "night"],
  drama: [hills, "dusk", "sea", "forest", "night"],
};

/** A generator of random numbers from 0 to 1, seeded by a text (FNV-1a, then mulberry32). */
function seededRandom(text) {
  let seed = 2166136261;
  for (const sign of text) seed = Math.imul(seed ^ sign.codePointAt(0), 16777619);
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const between = (random, low, high) => low + random() * (high - low);
const circle = (cx, cy, r, fill, more = {}) => makeSvg("circle", { cx, cy, r, fill, ...more });
const box = (x, y, width, height, fill, more = {}) =>
  makeSvg("rect", { x, y, width, height, fill, ...more });
const path = (d, fill, more = {}) => makeSvg("path", { d, fill, ...more });
const line = (d, stroke, width, more = {}) =>
  path(d, "none", { stroke, "stroke-width": width, ...more });

// Each drawing stays in the upper 190 of 300 units; the title is below.

function hills(random, [, far, near, light]) {
  const sun = between(random, 45, 155);
  const rise = () => between(random, 105, 135);
  const ridge = (base, fill) =>
    path(
      `M0 ${base}C50 ${rise() + base - 130} 80 ${base + 14} 120 ${base - 8}S180 ${base - 34} 200 ${base - 6}V300H0z`,
      fill,
    );
  return [
    circle(sun, between(random, 62, 96), between(random, 26, 42), light),
    ridge(138, near),
    ridge(164, far),
  ];
}

function orbits(random, [, far, near, light]) {
  const [x, y] = [between(random, 70, 130), between(random, 85, 110)];
  const rings = [88, 70, 52].map((r) =>
    circle(x, y, r, "none", { stroke: near, "stroke-width": 1 }),
  );
  const moons = [88, 70, 52].map((r) => {
    const angle = between(random, 0, 2 * Math.PI);
    return circle(x + r * Math.cos(angle), y + r * Math.sin(angle), between(random, 3, 7), light);
  });
  return [circle(x, y, 110, far, { opacity: 0.5 }), ...rings, circle(x, y, 30, near), ...moons];
}

function trunks(random, [, far, near, light]) {
  const moon = circle(
    between(random, 60, 140),
    between(random, 60, 90),
    between(random, 24, 34),
    light,
  );
  const trees = [];
  for (let x = -8; x < WIDE; x += between(random, 16, 30)) {
    const width = between(random, 4, 13);
    const lean = between(random, -6, 6);
    trees.push(
      path(`M${x} 300L${x + lean} 0h${width}L${x + width + 3} 300z`, random() < 0.5 ? far : near),
    );
  }
  for (const tree of trees) tree.setAttribute("opacity", 0.92);
  return [moon, ...trees];
}

function blinds(random, [, far, near, light]) {
  const slope = between(random, -70, -30);
  const slats = [0, 1, 2, 3, 4, 5].map((each) => {
    const y = 40 + 30 * each;
    return path(
      `M0 ${y}L200 ${y + slope}v${16 - 2 * each}L0 ${y + 16 - 2 * each}z`,
      each % 2 ? near : light,
      {
        opacity: 0.9 - 0.12 * each,
      },
    );
  });
  const x = between(random, 60, 140);
  const body = path(`M${x - 46} 200c0-44 22-56 46-56s46 12 46 56z`, far);
  return [...slats, circle(x, 118, 25, far), body];
}

function waves(random, [, far, near, light]) {
  const lines = [];
  for (let each = 0; each < 11; each += 1) {
    const y = 34 + 13 * each;
    const swing = between(random, 6, 34) * Math.sin((Math.PI * (each + 1)) / 12);
    lines.push(
      line(`M-10 ${y}q35 ${-swing} 70 0t70 0t80 0`, [light, near, far][each % 3], 5, {
        "stroke-linecap": "round",
      }),
    );
  }
  return lines;
}

function tiles(random, [, far, near, light]) {
  const drawn = [];
  for (let x = 0; x < 4; x += 1)
    for (let y = 0; y < 4; y += 1) {
      const [left, top] = [12 + 44 * x, 14 + 44 * y];
      const fill = [far, near, light][Math.floor(3 * random())];
      const turn = {
        transform: `rotate(${90 * Math.floor(4 * random())} ${left + 22} ${top + 22})`,
      };
      const shape = random();
      if (shape < 0.45) drawn.push(path(`M${left} ${top}h44a44 44 0 0 1-44 44z`, fill, turn));
      else if (shape < 0.75) drawn.push(path(`M${left} ${top + 22}a22 22 0 0 1 44 0z`, fill, turn));
      else drawn.push(circle(left + 22, top + 22, between(random, 8, 20), fill));
    }
  return drawn;
}

function sky(random, [ground, far, near, light]) {
  const stars = Array.from({ length: 34 }, () =>
    circle(between(random, 8, 192), between(random, 8, 150), between(random, 0.6, 2), light, {
      opacity: between(random, 0.4, 1),
    }),
  );
  const [x, y] = [between(random, 60, 140), between(random, 58, 90)];
  const crescent = [circle(x, y, 32, light), circle(x + 13, y - 8, 28, ground)];
  const land = path(`M0 176q50-${between(random, 20, 50)} 100-8t100-10V300H0z`, far);
  return [
    ...stars,
    ...crescent,
    land,
    path("M0 194q70-26 130-4t70-4V300H0z", near, { opacity: 0.55 }),
  ];
}

function circles(random, [, far, near, light]) {
  const [turn, apart] = [between(random, 0, Math.PI), between(random, 24, 40)];
  const [x, y] = [apart * Math.cos(turn), 0.75 * apart * Math.sin(turn)];
  return [
    circle(100 - x, 98 - y, between(random, 40, 62), near),
    circle(100 + x, 98 + y, between(random, 34, 58), light, { opacity: 0.85 }),
    circle(100, 98, between(random, 7, 16), far),
  ];
}

function arcs(random, [, far, near, light]) {
  const [x, y] = [random() < 0.5 ? 0 : WIDE, 190];
  return [170, 136, 102, 68, 34].map((r, each) =>
    circle(x, y, r, [far, near, far, light, near][each]),
  );
}

function city(random, [, far, near, light]) {
  const drawn = [circle(between(random, 40, 160), between(random, 50, 80), 24, light)];
  for (const [low, high, fill] of [
    [70, 120, near],
    [110, 160, far],
  ])
    for (let x = -6; x < WIDE; ) {
      const [width, top] = [between(random, 20, 40), between(random, low, high)];
      drawn.push(box(x, top, width - 3, 300 - top, fill));
      for (let y = top + 10; y < 190; y += 13)
        if (random() < 0.45)
          drawn.push(box(x + 5 + 9 * Math.floor(random() * 2), y, 4, 5, light, { opacity: 0.8 }));
      x += width;
    }
  return drawn;
}

// Widths as parts of the font size; Chinese, Japanese and Korean characters are wider.
const LETTER_WIDTH = 0.56;
const textWidth = (text) =>
  [...text].reduce((sum, sign) => sum + (sign > "\u2e80" ? 1 : LETTER_WIDTH), 0);
const LINE_WIDTH = 172;

/** Break a title into lines, in the largest font that fits. */
function fitTitle(title) {
  const words = title.split(/\s+/).filter(Boolean);
  for (let size = 30; ; size -= 2) {
    const lines = [];
    for (const word of words) {
      const joined = lines.length ? `${lines.at(-1)} ${word}` : word;
      if (lines.length && textWidth(joined) * size <= LINE_WIDTH) lines[lines.length - 1] = joined;
      else lines.push(word);
    }
    const fits =
      lines.length * size <= 92 && lines.every((each) => textWidth(each) * size <= LINE_WIDTH);
    if (fits || size <= 10) return { size, lines: lines.slice(0, 9) };
  }
}

/** The poster as an SVG of 2:3, hidden from screen readers, as the text beside it says the same. */
export function poster(film) {
  const { title, year, genres = [] } = film;
  const random = seededRandom(title.toLowerCase());
  const known = genres.filter((genre) => STYLES[genre]);
  const order = Object.keys(STYLES);
  known.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  // Sometimes the second genre, or an evening's comedies would all look alike.
  const genre =
    known[random() < 0.6 ? 0 : 1] ?? known[0] ?? order[Math.floor(random() * order.length)];
  const [art, ...palettes] = STYLES[genre];
  const colours = PALETTES[palettes[Math.floor(random() * palettes.length)]];
  const { size, lines } = fitTitle(displayTitle(film));
  const top = 290 - (year ? 16 : 4) - 1.08 * size * (lines.length - 1);
  const text = lines.map((each, place) =>
    makeSvg(
      "text",
      { x: 14, y: top - 6 + 1.08 * size * place, "font-size": size, class: "title" },
      each,
    ),
  );
  const foot = year
    ? [makeSvg("text", { x: 14, y: 289, "font-size": 12, class: "year" }, String(year))]
    : [];
  return makeSvg(
    "svg",
    { class: "poster", viewBox: `0 0 ${WIDE} ${HIGH}`, "aria-hidden": "true", fill: colours[3] },
    box(0, 0, WIDE, HIGH, colours[0]),
    ...art(random, colours),
    box(0, 190, WIDE, 110, colours[0]),
    ...text,
    ...foot,
  );
}
