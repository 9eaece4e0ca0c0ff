// The walk: how do you feel, what was read, what to watch.
import * as api from "./api.js";
import * as camera from "./camera.js";
import * as cards from "./cards.js";
import * as evening from "./evening.js";
import * as history from "./history.js";
import * as kiosk from "./kiosk.js";
import {
  announce,
  by,
  called,
  named,
  onPress,
  pageData,
  press,
  remember,
  remembered,
  t,
} from "./page.js";
import { poster } from "./poster.js";
import * as reading from "./reading.js";

const MANY = 6;
// The server takes as many titles in a list.
const MOST_NAMED = 200;

const visitor = remembered("visitor") ?? newVisitor();
const hand = { mood: "", tone: "" };
// Films as `named`, which is what the server is sent.
const left = { out: new Set(), loved: new Set(), seen: new Set() };
// Frames and clip are not kept: what was read of them goes with the next questions as a label.
let carried = {};
let read = null;
let intent = "auto";
let answerId = null;
let asking = null;
let again = () => {};

function newVisitor() {
  // randomUUID is only there over https.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const id = Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  remember("visitor", id);
  return id;
}

function stage(name) {
  document.body.dataset.stage = name;
  by("or").hidden = true;
  by("picks").hidden = false;
}

/** Ask the station; `others` leaves out all that was shown, `shown` is what the camera took. */
async function ask({ others = false, shown = {} } = {}) {
  again = () => ask({ others, shown });
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const has = { picks: false };
  stage("picks");
  by("trouble").hidden = true;
  by("others").disabled = true;
  status(t("asking"));
  const exclude = [...(others ? left.seen : []), ...left.out].slice(-MOST_NAMED);
  const body = {
    visitor,
    language: pageData.language,
    limit: MANY,
    text: by("text").value,
    intent,
    exclude,
    movies: [...left.loved].slice(-MOST_NAMED),
    environment: evening.environment(),
    mood: hand.mood || (carried.mood?.label ?? ""),
    tone: hand.tone || (carried.tone?.label ?? ""),
    ...shown,
    // What this answer puts right.
    ...(answerId && { corrects: answerId }),
  };
  answerId = null;
  try {
    await api.ask(body, listeners(has, others), mine.signal);
  } catch (error) {
    if (mine.signal.aborted) return;
    if (!(error instanceof api.Failed)) console.error(error);
    fail(error, has.picks);
  }
  if (mine === asking) by("others").disabled = false;
}

const listeners = (has, others) => ({
  perceived(perceived) {
    camera.done();
    note(perceived);
  },
  picks({ picks }) {
    has.picks = true;
    cards.show(picks);
    noteShown();
    const heard = by("reading").querySelector(".read").textContent.trim();
    status(t("llm-thinking"), `${heard}. ${t("films-here", { count: picks.length })}`);
    // Beside one another they need no scrolling.
    if (matchMedia("(max-width: 63.99rem)").matches)
      by(others ? "picks" : "reading").scrollIntoView();
  },
  queue({ position }) {
    status(t("llm-queue", { position }));
  },
  pick(pick) {
    if (left.out.has(named(pick))) return;
    cards.add(pick);
    noteShown();
    announce(t("llm-new", { title: called(pick) }));
  },
  answer(answer) {
    answerId = answer.inferenceId;
    note(answer.perceived);
    cards.settle(answer.picks);
    noteShown();
    status(answer.picks.length ? t(`llm-${answer.llm.status}`) : t("no-more"));
  },
});

function note(perceived) {
  read = { ...perceived };
  for (const name of ["mood", "tone"]) {
    if (carried[name] && !hand[name]) read[name] = carried[name];
    carried[name] = ["face", "voice"].includes(read[name].source) ? read[name] : null;
  }
  reading.show(read);
}

function noteShown() {
  for (const pick of cards.picks()) left.seen.add(named(pick));
}

function status(text, spoken = text) {
  by("status").textContent = text;
  announce(spoken);
}

function fail(error, hasPicks) {
  camera.done();
  if (hasPicks) return status(t("failed-late"));
  status("");
  by("trouble").querySelector("p").textContent = t(error.isTooOften ? "too-often" : "failed");
  by("trouble").hidden = false;
}

/** Take a label given by hand; the same one again takes it back. */
function tell(name, value) {
  hand[name] = hand[name] === value ? "" : value;
  press(by(`${name}s`), name, hand[name]);
  ask();
}

/** A film as a choice or a verdict names it; there is no answer's id while the LLM works. */
const film = ({ title, year }) => ({
  movieTitle: title,
  ...(year && { movieYear: year }),
  ...(answerId && { inferenceId: answerId }),
});

async function judge(pick, verdict) {
  const name = named(pick);
  left.out[verdict === "none" ? "delete" : "add"](name);
  left.loved[verdict === "loved" ? "add" : "delete"](name);
  await api.feedback({ visitor, verdict, ...film(pick) });
}

async function watch(pick) {
  const dialog = by("thanks");
  const note = dialog.querySelector("[role=status]");
  dialog.querySelector(".poster").replaceWith(poster(pick));
  dialog.querySelector(".film-title").textContent = called(pick);
  const choice = {
    clientSentAt: new Date().toISOString(),
    mood: read.mood.source === "none" ? "" : read.mood.label,
    tone: read.tone.source === "none" ? "" : read.tone.label,
    env: evening.environment(),
    ...film(pick),
  };
  const save = async () => {
    by("retry-save").hidden = true;
    note.textContent = t("saving");
    try {
      await api.log(choice);
      note.textContent = t("thanks-saved");
      history.add(pick);
    } catch (error) {
      note.textContent = t(error.isTooOften ? "too-often" : "save-failed");
      by("retry-save").hidden = false;
    }
  };
  by("retry-save").onclick = save;
  dialog.showModal();
  await save();
}

by("words").addEventListener("submit", (event) => {
  event.preventDefault();
  carried = {};
  ask();
});
onPress(by("moods"), "mood", (mood) => tell("mood", mood));
onPress(by("tones"), "tone", (tone) => tell("tone", tone));
onPress(by("intents"), "intent", (wanted) => {
  intent = wanted;
  press(by("intents"), "intent", intent);
  ask();
});
by("others").addEventListener("click", () => ask({ others: true }));
by("trouble")
  .querySelector("button")
  .addEventListener("click", () => again());
by("afresh").addEventListener("click", kiosk.afresh);
for (const button of document.querySelectorAll("[data-close]"))
  button.addEventListener("click", () => button.closest("dialog").close());

cards.begin({ watch, judge });
evening.begin(() => document.body.dataset.stage === "picks" && ask());
camera.begin((shown) => {
  hand.mood = hand.tone = "";
  carried = {};
  ask({ shown });
});
kiosk.begin();
history.show();
document.body.dataset.ready = "";
