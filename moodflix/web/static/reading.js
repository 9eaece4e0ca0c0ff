// Shows the mood and tone that were read, how sure the reading is, and what it came from.
import { byId, drawing, label, make, markPressed, t } from "./page.js";

const SIGNALS = ["words", "face", "voice"];
const percent = (share) => Math.round(100 * share);

/** Show what was `perceived`. */
export function show(perceived) {
  const { mood, tone } = perceived;
  const isUnknown = mood.source === "none";
  byId("read-lead").textContent = isUnknown
    ? ""
    : t(mood.source === "hand" ? "you-said" : "you-seem");
  byId("read-mood").textContent = isUnknown ? t("unread") : label("mood", mood.label);
  const source = t(`source-${mood.source}`) ?? t("source-merged");
  const hasConfidence = mood.confidence && !["hand", "none"].includes(mood.source);
  const text = hasConfidence ? t("sure", { percent: percent(mood.confidence), source }) : source;
  byId("read-sure").textContent = `${text}.`;
  markPressed(byId("moods"), "mood", isUnknown ? "" : mood.label);
  markPressed(byId("tones"), "tone", tone.source === "none" ? "" : tone.label);
  byId("reading").hidden = byId("more").hidden = false;
  showSignals(perceived);
}

function showSignals(perceived) {
  const rows = SIGNALS.flatMap((name) => {
    const signal = perceived[name];
    const content = signal && describe(name, signal);
    return content ? [make("dt", {}, t(`read-${name}`)), make("dd", {}, ...content)] : [];
  });
  byId("signals").replaceChildren(...rows);
  byId("how").hidden = !rows.length;
}

function describe(name, { scores, missing, frames }) {
  if (missing === "not_sent") return null;
  if (missing) return [t(`missing-${missing}`) ?? t("missing")];
  const kind = name === "voice" ? "tone" : "mood";
  const best = Object.entries(scores ?? {})
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3);
  if (!best.length) return null;
  const bars = best.map(([word, score]) => {
    const meter = make("meter", { value: score, "aria-label": label(kind, word) });
    return make("span", { class: "bar-row" }, label(kind, word), meter, `${percent(score)} %`);
  });
  return Array.isArray(frames) && frames.length ? [...bars, filmStrip(frames)] : bars;
}

/** A drawing of each frame's mood, fainter where the reading was less sure. */
function filmStrip(frames) {
  return make(
    "span",
    { class: "film", "aria-hidden": "true" },
    ...frames.map((frame) => {
      const face = drawing(frame.label);
      face.style.opacity = 0.35 + 0.65 * frame.confidence;
      return face;
    }),
  );
}
