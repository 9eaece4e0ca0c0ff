// What the station read, how sure it is, and from what.
import { by, drawing, label, make, press, t } from "./page.js";

const SIGNALS = ["words", "face", "voice"];
const percent = (share) => Math.round(100 * share);

/** Show a `perceived`; labels given by hand stand in `hand`. */
export function show(perceived) {
  const { mood, tone } = perceived;
  const open = mood.source === "none";
  by("read-lead").textContent = open ? "" : t(mood.source === "hand" ? "you-said" : "you-seem");
  by("read-mood").textContent = open ? t("unread") : label("mood", mood.label);
  const source = t(`source-${mood.source}`) ?? t("source-merged");
  const sure = mood.confidence && !["hand", "none"].includes(mood.source);
  const said = sure ? t("sure", { percent: percent(mood.confidence), source }) : source;
  by("read-sure").textContent = `${said}.`;
  press(by("moods"), "mood", open ? "" : mood.label);
  press(by("tones"), "tone", tone.source === "none" ? "" : tone.label);
  by("reading").hidden = by("more").hidden = false;
  showSignals(perceived);
}

function showSignals(perceived) {
  const rows = SIGNALS.flatMap((name) => {
    const signal = perceived[name];
    const said = signal && describe(name, signal);
    return said ? [make("dt", {}, t(`read-${name}`)), make("dd", {}, ...said)] : [];
  });
  by("signals").replaceChildren(...rows);
  by("how").hidden = !rows.length;
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
  return Array.isArray(frames) && frames.length ? [...bars, film(frames)] : bars;
}

/** The faces of the frames, one after the other, as strong as the reading was sure. */
function film(frames) {
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
