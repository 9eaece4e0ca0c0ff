// "Look at me": a notice, then four seconds of 20 frames and sound, read live meanwhile.
import { readFrame } from "./api.js";
import { byId, drawing, label, make, t } from "./page.js";

const FRAMES = 20;
const SECONDS = 4;
const WIDTH = 480;
const COUNTDOWN = 3;
// Milliseconds from the end of a live reading to the next.
const LIVE_PAUSE = 500;
const dialog = byId("camera");
const video = dialog.querySelector("video");
const message = byId("camera-says");
let stream = null;

function showStep(name) {
  for (const each of dialog.querySelectorAll("[data-step]"))
    each.hidden = each.dataset.step !== name;
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = video.srcObject = null;
}

/** Open camera and microphone, or only the one that exists. */
async function open() {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "InsecureError");
  const picture = { width: { ideal: 640 }, facingMode: "user" };
  const attempts = [{ video: picture, audio: true }, { video: picture }, { audio: true }];
  let firstError;
  for (const devices of attempts)
    try {
      return await navigator.mediaDevices.getUserMedia(devices);
    } catch (error) {
      firstError ??= error;
    }
  throw firstError;
}

const PROBLEMS = {
  InsecureError: "camera-insecure",
  NotAllowedError: "camera-refused",
  NotFoundError: "camera-none",
};

function showProblem(error) {
  stop();
  showStep("failed");
  dialog.querySelector("[role=alert]").textContent = t(PROBLEMS[error.name] ?? "camera-busy");
}

function base64(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.readAsDataURL(blob);
  });
}

/** Start recording; the returned function stops it and resolves to the clip, if there is sound. */
function record() {
  const tracks = stream.getAudioTracks();
  if (!tracks.length) return async () => undefined;
  const pieces = [];
  const recorder = new MediaRecorder(new MediaStream(tracks));
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  const ended = new Promise((resolve) => (recorder.onstop = resolve));
  recorder.start();
  return async () => {
    recorder.stop();
    await ended;
    return base64(new Blob(pieces));
  };
}

/** Take a frame, show it in the film strip and return it. */
function takeFrame(filmStrip) {
  const canvas = make("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  filmStrip.append(make("li", {}, canvas));
  return canvas.toDataURL("image/jpeg", 0.85).replace(/^.*,/, "");
}

/** Return a function that reads a frame and shows the result, skipping frames that come too soon. */
function liveReader(signal) {
  let [due, last, spoken] = [0, "", ""];
  return async (image) => {
    if (performance.now() < due) return;
    due = Infinity;
    try {
      const { mood, face } = await readFrame(image, signal);
      const hasMood = mood.source === "face";
      const name = hasMood
        ? label("mood", mood.label)
        : (t(`missing-${face.missing}`) ?? t("unsure"));
      const sure = hasMood && t("live-sure", { percent: Math.round(100 * mood.confidence) });
      const shown = hasMood ? [drawing(mood.label), name, make("small", {}, sure)] : [name];
      byId("live-read").replaceChildren(...shown);
      // A screen reader says only what was read twice in a row.
      if (name === last && name !== spoken) byId("live-said").textContent = spoken = name;
      last = name;
    } catch {
      // The reading of all frames at the end will show any problem.
    }
    due = performance.now() + LIVE_PAUSE;
  };
}

/** Take frames and sound; `null` if the person leaves. `readLive(frame)` is called for each frame. */
async function capture(isPresent, readLive) {
  const [count, bar, filmStrip] = [".count", "progress", ".film"].map((each) =>
    dialog.querySelector(each),
  );
  const hasCamera = stream.getVideoTracks().length > 0;
  video.srcObject = stream;
  if (hasCamera) await video.play();
  const hasMicrophone = stream.getAudioTracks().length > 0;
  message.textContent = t(
    !hasMicrophone ? "camera-no-microphone" : hasCamera ? "camera-ready" : "camera-no-camera",
  );
  for (let left = COUNTDOWN; left && isPresent(); left -= 1) {
    count.textContent = left;
    await wait(700);
  }
  count.textContent = "";
  if (!isPresent()) return null;
  const clip = record();
  const images = [];
  for (let each = 0; each < FRAMES && isPresent(); each += 1) {
    const left = SECONDS - Math.floor((each * SECONDS) / FRAMES);
    count.textContent = left;
    if (hasCamera) {
      images.push(takeFrame(filmStrip));
      readLive(images.at(-1));
    }
    bar.value = each + 1;
    await wait((1000 * SECONDS) / FRAMES);
  }
  if (!isPresent()) return null;
  const audio = await clip();
  count.textContent = "";
  message.textContent = t("camera-reading");
  return { images, ...(audio && { audio }) };
}

async function look(send) {
  let wasClosed = false;
  const isPresent = () => !wasClosed && dialog.open;
  dialog.addEventListener("close", () => (wasClosed = true), { once: true });
  showStep("show");
  dialog.querySelector("progress").value = 0;
  dialog.querySelector(".film").replaceChildren();
  dialog.querySelector(".count").textContent = "";
  message.textContent = t("camera-waiting");
  byId("live-read").textContent = byId("live-said").textContent = "";
  const reading = new AbortController();
  try {
    const opened = await open();
    stop();
    stream = opened;
    const media = isPresent() && (await capture(isPresent, liveReader(reading.signal)));
    stop();
    if (media) send(media);
  } catch (error) {
    if (isPresent()) showProblem(error);
    else stop();
  } finally {
    reading.abort();
  }
}

/** Close the dialog: the reading has come, or failed. */
export function close() {
  if (dialog.open) dialog.close();
}

/** `send({images, audio})` is called with what was taken. */
export function init(send) {
  byId("look").addEventListener("click", () => {
    // Each time, as another person may stand here now.
    showStep("notice");
    dialog.showModal();
  });
  byId("camera-start").addEventListener("click", () => look(send));
  byId("camera-again").addEventListener("click", () => look(send));
  dialog.addEventListener("close", stop);
}
