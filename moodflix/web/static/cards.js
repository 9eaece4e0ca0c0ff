// The films: cards that come, go and change places without jumping under anyone's finger.
import { by, called, drawing, label, make, named, still, t } from "./page.js";
import { poster } from "./poster.js";

const list = by("cards");
const VERDICTS = ["not-tonight", "loved", "disliked"];
const key = (pick) => named(pick).toLowerCase();
let shown = new Map();
let calls;
let pointed = false;

/** `calls.watch(pick)` and `calls.judge(pick, verdict)`, which may throw, do what is tapped. */
export function begin(given) {
  calls = given;
  list.addEventListener("pointermove", ({ movementX, movementY }) => {
    // A mouse that lay where the cards came points at nothing.
    pointed ||= movementX !== 0 || movementY !== 0;
  });
  list.addEventListener("pointerdown", () => (pointed = true));
  list.addEventListener("pointerleave", () => (pointed = false));
}

export const picks = () => [...shown.values()].map(({ pick }) => pick);

/** Show other films than before. */
export function show(picks) {
  shown = new Map();
  pointed = false;
  glide(() => list.replaceChildren(...picks.map((pick) => card(pick).item)));
}

/** Slip in a film of the LLM's behind those it named before, in the place of the last other one. */
export function add(pick) {
  pick = { ...pick, sources: { llm: 1 } };
  const known = shown.get(key(pick));
  if (known)
    return fill(known, { ...known.pick, ...pick, sources: { ...known.pick.sources, llm: 1 } });
  const others = [...shown.values()].filter((each) => !each.pick.sources?.llm && !each.out);
  const last = others.at(-1);
  glide(() => {
    const { item } = card(pick);
    if (inUse() || !others.length) return list.append(item);
    list.insertBefore(item, others[0].item);
    last.item.remove();
    shown.delete(key(last.pick));
  });
}

/** Show what the answer came to; while somebody reads or points, nothing moves or goes. */
export function settle(picks) {
  glide(() => {
    const busy = inUse();
    const wanted = new Set(picks.map(key));
    for (const pick of picks) {
      const known = shown.get(key(pick));
      if (known) fill(known, pick);
      const { item } = known ?? card(pick);
      if (!busy || !known) list.append(item);
    }
    if (busy) return;
    for (const [name, { item, out }] of shown)
      if (!wanted.has(name) && !out) {
        item.remove();
        shown.delete(name);
      }
  });
}

const inUse = () => pointed || list.contains(document.activeElement);

function card(pick) {
  const made = { item: make("li"), pick: null, out: "" };
  fill(made, pick);
  shown.set(key(pick), made);
  return made;
}

function fill(made, pick) {
  const changed = JSON.stringify(made.pick) !== JSON.stringify(pick);
  made.pick = pick;
  if (changed && !made.out) made.item.replaceChildren(...face(made));
}

function face(made) {
  const { pick } = made;
  const { title, original_title: original, year, runtime, why, explore, known } = pick;
  const genres = (pick.genres ?? []).slice(0, 3).map((genre) => label("genre", genre));
  const facts = [year, runtime && t("minutes", { minutes: runtime }), genres.join(", ")];
  const name = called(pick);
  const other = name === title ? original : title;
  const from = Object.keys(pick.sources ?? {}).map((source) => label("from", source));
  const watch = make("button", { type: "button", class: "watch" }, t("watch"));
  watch.addEventListener("click", () => calls.watch(pick));
  return [
    poster(pick),
    make(
      "div",
      { class: "about" },
      make("h3", {}, name),
      ...(other && other !== name ? [make("p", { class: "original" }, other)] : []),
      make("p", { class: "facts" }, facts.filter(Boolean).join(" · ")),
      make("p", { class: "why" }, why ?? ""),
      ...(known === false ? [make("p", { class: "tag" }, t("unknown-film"))] : []),
      make("p", { class: "from" }, [...from, ...(explore ? [t("explore")] : [])].join(" · ")),
      watch,
    ),
    make("div", { class: "verdicts" }, ...VERDICTS.map((each) => verdict(made, each))),
  ];
}

function verdict(made, said) {
  const button = make("button", { type: "button" }, drawing(said), make("span", {}, t(said)));
  button.addEventListener("click", () => leaveOut(made, said));
  return button;
}

async function leaveOut(made, said) {
  made.out = said;
  const text = make("p", { role: "status" }, t(`left-${said}`, { title: called(made.pick) }));
  const undo = make("button", { type: "button" }, t("undo"));
  undo.addEventListener("click", () => takeBack(made, text));
  made.item.replaceChildren(make("div", { class: "gone" }, text, undo));
  undo.focus();
  try {
    await calls.judge(made.pick, said);
  } catch {
    text.append(` ${t("feedback-failed")}`);
  }
}

async function takeBack(made, text) {
  try {
    await calls.judge(made.pick, "none");
  } catch {
    text.textContent = t("undo-failed");
    return;
  }
  made.out = "";
  made.item.replaceChildren(...face(made));
  made.item.querySelector(".watch").focus();
}

/** Change the list, and let what moved glide to its new place. */
function glide(change) {
  const before = new Map([...list.children].map((each) => [each, each.getBoundingClientRect()]));
  change();
  if (still.matches) return;
  const timing = { duration: 380, easing: "cubic-bezier(.2, .7, .2, 1)" };
  for (const each of list.children) {
    const was = before.get(each);
    const now = each.getBoundingClientRect();
    const [x, y] = was ? [was.left - now.left, was.top - now.top] : [0, 14];
    if (was && !x && !y) continue;
    const start = { transform: `translate(${x}px, ${y}px)`, opacity: was ? 1 : 0 };
    each.animate([start, { transform: "none", opacity: 1 }], timing);
  }
}
