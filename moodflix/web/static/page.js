// What every part of the page needs: the server's words, elements, what this device remembers.
export const pageData = JSON.parse(document.getElementById("page-data").textContent);

export const by = (id) => document.getElementById(id);

/** The sentence of that name, its {places} filled in; undefined if there is none. */
export function t(name, places = {}) {
  return pageData.words[name]?.replace(/\{(\w+)\}/g, (_, place) => places[place]);
}

/** A label of the station's in the person's language; one that it doesn't know as it is. */
export const label = (kind, word) => t(`${kind}-${word}`) ?? word;

/** What a film is called in the person's language. */
export const called = ({ title, original_title: original }) =>
  pageData.language === "ko" && /[가-힣]/.test(original) ? original : title;

// The longest title that the server takes.
const LONGEST = 300;

/** A film's title with its year, as films of one title are told apart. */
export function named({ title, year }) {
  const dated = `${title.replace(/\s*\(\d{4}\)$/, "")} (${year})`;
  return year && dated.length <= LONGEST ? dated : title;
}

/** An element; text children are text, never markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** One of the drawings of drawings.svg. */
export const drawing = (name) =>
  draw("svg", { "aria-hidden": "true" }, draw("use", { href: `#d-${name}` }));

/** Tell a screen reader. */
export function announce(text) {
  by("live").textContent = text;
}

/** Press the buttons of a group whose data attribute has this value. */
export function press(group, name, value) {
  for (const button of group.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset[name] === value));
}

/** Call with the value of the button that was pressed in a group. */
export function onPress(group, name, call) {
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) call(button.dataset[name], button);
  });
}

export const still = matchMedia("(prefers-reduced-motion: reduce)");

// A kiosk remembers nobody; some browsers refuse to remember anything.
export function remember(name, value) {
  if (pageData.kiosk) return;
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {}
}

export function remembered(name) {
  try {
    return pageData.kiosk ? null : JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}
