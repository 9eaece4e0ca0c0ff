// The films' cards; none of them moves or goes while somebody points at the list or uses it.
import { byId, datedTitle, displayTitle, drawing, label, make, reducedMotion, t } from "./page.js";
import { poster } from "./poster.js";

const list = byId("cards");
const VERDICTS = ["not-tonight", "loved", "disliked"];
const keyOf = (pick) => datedTitle(pick).toLowerCase();
// By key, in the order they were made.
let cards = new Map();
let handlers;
let isPointedAt = false;

/** `choose(pick)` is called for a chosen film, `saveVerdict(pick, verdict)`, which may throw, for a verdict. */
export function init({ choose, saveVerdict }) {
  handlers = { choose, saveVerdict };
  list.addEventListener("pointermove", ({ movementX, movementY }) => {
    // A mouse at rest where the cards appear points at nothing.
    isPointedAt ||= movementX !== 0 || movementY !== 0;
  });
  list.addEventListener("pointerdown", () => (isPointedAt = true));
  list.addEventListener("pointerleave", () => (isPointedAt = false));
}

export const picks = () => [...cards.values()].map(({ pick }) => pick);

/** Replace all cards. */
export function show(picks) {
  cards = new Map();
  isPointedAt = false;
  animateMoves(() => list.replaceChildren(...picks.map((pick) => addCard(pick).item)));
}

/** Insert a film of the LLM behind its earlier ones; the last film of others gives way to it. */
export function add(pick) {
  pick = { ...pick, sources: { llm: 1 } };
  const known = cards.get(keyOf(pick));
  if (known)
    return update(known, { ...known.pick, ...pick, sources: { ...known.pick.sources, llm: 1 } });
  const others = [...cards.values()].filter((each) => !each.pick.sources?.llm && !each.isLeftOut);
  const last = others.at(-1);
  animateMoves(() => {
    const { item } = addCard(pick);
    if (isInUse() || !others.length) return list.append(item);
    list.insertBefore(item, others[0].item);
    last.item.remove();
    cards.delete(keyOf(last.pick));
  });
}

/** Show the final list; while the cards are in use, they only gain what is new. */
export function showFinal(picks) {
  animateMoves(() => {
    const keepOrder = isInUse();
    const final = new Set(picks.map(keyOf));
    for (const pick of picks) {
      const known = cards.get(keyOf(pick));
      if (known) update(known, pick);
      const { item } = known ?? addCard(pick);
      if (!keepOrder || !known) list.append(item);
    }
    if (keepOrder) return;
    for (const [key, { item, isLeftOut }] of cards)
      if (!final.has(key) && !isLeftOut) {
        item.remove();
        cards.delete(key);
      }
  });
}

const isInUse = () => isPointedAt || list.contains(document.activeElement);

function addCard(pick) {
  const card = { item: make("li"), pick: null, isLeftOut: false };
  update(card, pick);
  cards.set(keyOf(pick), card);
  return card;
}

function update(card, pick) {
  const changed = JSON.stringify(card.pick) !== JSON.stringify(pick);
  card.pick = pick;
  if (changed && !card.isLeftOut) card.item.replaceChildren(...content(card));
}

function content(card) {
  const { pick } = card;
  const { title, original_title: original, year, runtime, why, explore, known } = pick;
  const genres = (pick.genres ?? []).slice(0, 3).map((genre) => label("genre", genre));
  const facts = [year, runtime && t("minutes", { minutes: runtime }), genres.join(", ")];
  const name = displayTitle(pick);
  const otherTitle = name === title ? original : title;
  const sources = Object.keys(pick.sources ?? {}).map((source) => label("from", source));
  const watch = make("button", { type: "button", class: "watch" }, t("watch"));
  watch.addEventListener("click", () => handlers.choose(pick));
  return [
    poster(pick),
    make(
      "div",
      { class: "about" },
      make("h3", {}, name),
      ...(otherTitle && otherTitle !== name ? [make("p", { class: "original" }, otherTitle)] : []),
      make("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
      make("p", { class: "why" }, why ?? ""),
      ...(known === false ? [make("p", { class: "tag" }, t("unknown-film"))] : []),
      make("p", { class: "from" }, [...sources, ...(explore ? [t("explore")] : [])].join(" · ")),
      watch,
    ),
    make("div", { class: "verdicts" }, ...VERDICTS.map((each) => verdictButton(card, each))),
  ];
}

function verdictButton(card, verdict) {
  const text = make("span", {}, t(verdict));
  const button = make("button", { type: "button" }, drawing(verdict), text);
  button.addEventListener("click", () => leaveOut(card, verdict));
  return button;
}

async function leaveOut(card, verdict) {
  card.isLeftOut = true;
  const title = displayTitle(card.pick);
  const text = make("p", { role: "status" }, t(`left-${verdict}`, { title }));
  const undo = make("button", { type: "button" }, t("undo"));
  undo.addEventListener("click", () => takeBack(card, text));
  card.item.replaceChildren(make("div", { class: "gone" }, text, undo));
  undo.focus();
  try {
    await handlers.saveVerdict(card.pick, verdict);
  } catch {
    text.append(` ${t("feedback-failed")}`);
  }
}

async function takeBack(card, text) {
  try {
    await handlers.saveVerdict(card.pick, "none");
  } catch {
    text.textContent = t("undo-failed");
    return;
  }
  card.isLeftOut = false;
  card.item.replaceChildren(...content(card));
  card.item.querySelector(".watch").focus();
}

/** Change the list; cards that move or are new are animated. */
function animateMoves(change) {
  const before = new Map([...list.children].map((each) => [each, each.getBoundingClientRect()]));
  change();
  if (reducedMotion.matches) return;
  const timing = { duration: 380, easing: "cubic-bezier(.2, .7, .2, 1)" };
  for (const each of list.children) {
    const old = before.get(each);
    const now = each.getBoundingClientRect();
    const [x, y] = old ? [old.left - now.left, old.top - now.top] : [0, 14];
    if (old && !x && !y) continue;
    const start = { transform: `translate(${x}px, ${y}px)`, opacity: old ? 1 : 0 };
    each.animate([start, { transform: "none", opacity: 1 }], timing);
  }
}
