// What all scripts share: the server's data, translations, elements, what this device remembers.
export const pageData = JSON.parse(document.getElementById("page-data").textContent);

/** The element with that id. */
export const byId = (id) => document.getElementById(id);

/** The translation of that name with its {placeholders} filled in; undefined if there is none. */
export function t(name, values = {}) {
  return pageData.words[name]?.replace(/\{(\w+)\}/g, (_, placeholder) => values[placeholder]);
}

/** A label of the station in the person's language; an unknown one as it is. */
export const label = (kind, word) => t(`${kind}-${word}`) ?? word;

/** A film's title in the person's language. */
export const displayTitle = ({ title, original_title: original }) =>
  pageData.language === "ko" && /[가-힣]/.test(original) ? original : title;

// The longest title that the server takes.
const MAX_TITLE = 300;

/** A film's title with its year, which tells films of the same title apart. */
export function datedTitle({ title, year }) {
  const dated = `${title.replace(/\s*\(\d{4}\)$/, "")} (${year})`;
  return year && dated.length <= MAX_TITLE ? dated : title;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A new HTML element; children that are text are text, never markup. */
export const make = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** A new SVG element. */
export const makeSvg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

/** One of the drawings of drawings.svg. */
export const drawing = (name) =>
  makeSvg("svg", { "aria-hidden": "true" }, makeSvg("use", { href: `#d-${name}` }));

/** Have a screen reader say a text. */
export function announce(text) {
  byId("live").textContent = text;
}

/** Mark as pressed the button of a group whose data attribute has this value. */
export function markPressed(group, name, value) {
  for (const button of group.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset[name] === value));
}

/** Call with the data attribute of each button of a group that is pressed. */
export function onPress(group, name, call) {
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) call(button.dataset[name]);
  });
}

export const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** Keep a value on this device; a kiosk keeps none, and some browsers refuse to. */
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
