// The page's main flow: ask how the person feels, show what was read, recommend films.
import * as api from "./api.js";
import * as camera from "./camera.js";
import * as cards from "./cards.js";
import * as evening from "./evening.js";
import * as history from "./history.js";
import * as kiosk from "./kiosk.js";
import {
  announce,
  byId,
  datedTitle,
  displayTitle,
  markPressed,
  onPress,
  pageData,
  remember,
  remembered,
  t,
} from "./page.js";
import { poster } from "./poster.js";
import * as reading from "./reading.js";

const FILMS = 6;
// The server takes at most so many titles in a list.
const MAX_TITLES = 200;

const visitor = remembered("visitor") ?? newVisitor();
// Labels that the person tapped.
const tapped = { mood: "", tone: "" };
// Dated titles, as the server is sent them.
const titles = { leftOut: new Set(), loved: new Set(), shown: new Set() };
// Frames and clip are not kept: the labels read from them are sent with the next requests instead.
let earlierReadings = {};
let perceived = null;
let intent = "auto";
let answerId = null;
let current = null;
let retry = () => {};

function newVisitor() {
  // crypto.randomUUID exists only over https.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const id = Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  remember("visitor", id);
  return id;
}

function showPicksStage() {
  document.body.dataset.stage = "picks";
  byId("or").hidden = true;
  byId("picks").hidden = false;
}

/** Request films; `others` leaves out those already shown, `media` is what the camera took. */
async function recommend({ others = false, media = {} } = {}) {
  retry = () => recommend({ others, media });
  current?.abort();
  const own = new AbortController();
  current = own;
  const progress = { hasPicks: false };
  showPicksStage();
  byId("trouble").hidden = true;
  byId("others").disabled = true;
  status(t("asking"));
  const exclude = [...(others ? titles.shown : []), ...titles.leftOut].slice(-MAX_TITLES);
  const body = {
    visitor,
    language: pageData.language,
    limit: FILMS,
    text: byId("text").value,
    intent,
    exclude,
    movies: [...titles.loved].slice(-MAX_TITLES),
    environment: evening.environment(),
    mood: tapped.mood || (earlierReadings.mood?.label ?? ""),
    tone: tapped.tone || (earlierReadings.tone?.label ?? ""),
    ...media,
    // The answer that this request corrects.
    ...(answerId && { corrects: answerId }),
  };
  answerId = null;
  try {
    await api.recommend(body, listeners(progress, others), own.signal);
  } catch (error) {
    if (own.signal.aborted) return;
    if (!(error instanceof api.RequestError)) console.error(error);
    showFailure(error, progress.hasPicks);
  }
  if (own === current) byId("others").disabled = false;
}

const listeners = (progress, others) => ({
  perceived(found) {
    camera.close();
    showPerceived(found);
  },
  picks({ picks }) {
    progress.hasPicks = true;
    cards.show(picks);
    noteShown();
    const reading = byId("reading").querySelector(".read").textContent.trim();
    status(t("llm-thinking"), `${reading}. ${t("films-here", { count: picks.length })}`);
    // On a wide screen they stand side by side.
    if (matchMedia("(max-width: 63.99rem)").matches)
      byId(others ? "picks" : "reading").scrollIntoView();
  },
  queue({ position }) {
    status(t("llm-queue", { position }));
  },
  pick(pick) {
    if (titles.leftOut.has(datedTitle(pick))) return;
    cards.add(pick);
    noteShown();
    announce(t("llm-new", { title: displayTitle(pick) }));
  },
  answer(answer) {
    answerId = answer.inferenceId;
    showPerceived(answer.perceived);
    cards.showFinal(answer.picks);
    noteShown();
    status(answer.picks.length ? t(`llm-${answer.llm.status}`) : t("no-more"));
  },
});

function showPerceived(found) {
  perceived = { ...found };
  for (const name of ["mood", "tone"]) {
    if (earlierReadings[name] && !tapped[name]) perceived[name] = earlierReadings[name];
    const fromMedia = ["face", "voice"].includes(perceived[name].source);
    earlierReadings[name] = fromMedia ? perceived[name] : null;
  }
  reading.show(perceived);
}

function noteShown() {
  for (const pick of cards.picks()) titles.shown.add(datedTitle(pick));
}

function status(text, spoken = text) {
  byId("status").textContent = text;
  announce(spoken);
}

function showFailure(error, hasPicks) {
  camera.close();
  if (hasPicks) return status(t("failed-late"));
  status("");
  byId("trouble").querySelector("p").textContent = t(error.isTooOften ? "too-often" : "failed");
  byId("trouble").hidden = false;
}

/** Set a label that was tapped, or clear it if it was set already. */
function tap(name, value) {
  tapped[name] = tapped[name] === value ? "" : value;
  markPressed(byId(`${name}s`), name, tapped[name]);
  recommend();
}

/** The fields that identify a film in a choice or verdict; no answer has an id while the LLM works. */
const filmFields = ({ title, year }) => ({
  movieTitle: title,
  ...(year && { movieYear: year }),
  ...(answerId && { inferenceId: answerId }),
});

async function saveVerdict(pick, verdict) {
  const title = datedTitle(pick);
  // Left out even if the station can't save that, but taken back only once it has.
  if (verdict !== "none") titles.leftOut.add(title);
  if (verdict === "loved") titles.loved.add(title);
  await api.saveFeedback({ visitor, verdict, ...filmFields(pick) });
  if (verdict === "none") for (const set of [titles.leftOut, titles.loved]) set.delete(title);
}

async function choose(pick) {
  const dialog = byId("thanks");
  const note = dialog.querySelector("[role=status]");
  dialog.querySelector(".poster").replaceWith(poster(pick));
  dialog.querySelector(".film-title").textContent = displayTitle(pick);
  const choice = {
    clientSentAt: new Date().toISOString(),
    mood: perceived.mood.source === "none" ? "" : perceived.mood.label,
    tone: perceived.tone.source === "none" ? "" : perceived.tone.label,
    env: evening.environment(),
    ...filmFields(pick),
  };
  const save = async () => {
    byId("retry-save").hidden = true;
    note.textContent = t("saving");
    try {
      await api.saveChoice(choice);
      note.textContent = t("thanks-saved");
      history.add(pick);
    } catch (error) {
      note.textContent = t(error.isTooOften ? "too-often" : "save-failed");
      byId("retry-save").hidden = false;
    }
  };
  byId("retry-save").onclick = save;
  dialog.showModal();
  await save();
}

byId("words").addEventListener("submit", (event) => {
  event.preventDefault();
  earlierReadings = {};
  recommend();
});
onPress(byId("moods"), "mood", (mood) => tap("mood", mood));
onPress(byId("tones"), "tone", (tone) => tap("tone", tone));
onPress(byId("intents"), "intent", (pressed) => {
  intent = pressed;
  markPressed(byId("intents"), "intent", intent);
  recommend();
});
byId("others").addEventListener("click", () => recommend({ others: true }));
byId("trouble")
  .querySelector("button")
  .addEventListener("click", () => retry());
byId("afresh").addEventListener("click", kiosk.startAgain);
for (const button of document.querySelectorAll("[data-close]"))
  button.addEventListener("click", () => button.closest("dialog").close());

cards.init({ choose, saveVerdict });
evening.init(() => document.body.dataset.stage === "picks" && recommend());
camera.init((media) => {
  tapped.mood = tapped.tone = "";
  earlierReadings = {};
  recommend({ media });
});
kiosk.init();
history.show();
document.body.dataset.ready = "";
