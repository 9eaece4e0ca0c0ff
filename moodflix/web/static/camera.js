// "Look at me": a notice, then 20 frames and a clip of four seconds, and what is read meanwhile.
import { glimpse } from "./api.js";
import { by, drawing, label, make, t } from "./page.js";

const FRAMES = 20;
const SECONDS = 4;
const WIDTH = 480;
const READY = 3;
// Between two live readings, which wait for their answers as well.
const EVERY = 500;
const dialog = by("camera");
const video = dialog.querySelector("video");
const says = by("camera-says");
let stream = null;

function step(name) {
  for (const each of dialog.querySelectorAll("[data-step]"))
    each.hidden = each.dataset.step !== name;
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = video.srcObject = null;
}

/** Open camera and microphone, or the one of them that there is. */
async function open() {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "InsecureError");
  const picture = { width: { ideal: 640 }, facingMode: "user" };
  const tries = [{ video: picture, audio: true }, { video: picture }, { audio: true }];
  let first;
  for (const wanted of tries)
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      first ??= error;
    }
  throw first;
}

const PROBLEMS = {
  InsecureError: "camera-insecure",
  NotAllowedError: "camera-refused",
  NotFoundError: "camera-none",
};

function fail(error) {
  stop();
  step("failed");
  dialog.querySelector("[role=alert]").textContent = t(PROBLEMS[error.name] ?? "camera-busy");
}

function base64(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.readAsDataURL(blob);
  });
}

/** Record the microphone until the returned function is called; that gives the clip. */
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

function snap(film) {
  const canvas = make("canvas");
  canvas.width = WIDTH;
  canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  film.append(make("li", {}, canvas));
  return canvas.toDataURL("image/jpeg", 0.85).replace(/^.*,/, "");
}

/** Show what is read of the newest frame, now and then, until the signal ends it. */
function live(signal) {
  let [due, last, spoken] = [0, "", ""];
  return async (image) => {
    if (performance.now() < due) return;
    due = Infinity;
    try {
      const { mood, face } = await glimpse(image, signal);
      const seen = mood.source === "face";
      const name = seen ? label("mood", mood.label) : (t(`missing-${face.missing}`) ?? t("unsure"));
      const sure = seen && t("live-sure", { percent: Math.round(100 * mood.confidence) });
      const more = seen ? [drawing(mood.label), name, make("small", {}, sure)] : [name];
      by("live-read").replaceChildren(...more);
      // What passes at once is not worth a word.
      if (name === last && name !== spoken) by("live-said").textContent = spoken = name;
      last = name;
    } catch {
      // The reading at the end says what there is to say.
    }
    due = performance.now() + EVERY;
  };
}

async function capture(present, read) {
  const [count, bar, film] = [".count", "progress", ".film"].map((each) =>
    dialog.querySelector(each),
  );
  const seen = stream.getVideoTracks().length > 0;
  video.srcObject = stream;
  if (seen) await video.play();
  const heard = stream.getAudioTracks().length > 0;
  says.textContent = t(
    !heard ? "camera-no-microphone" : seen ? "camera-ready" : "camera-no-camera",
  );
  for (let left = READY; left && present(); left -= 1) {
    count.textContent = left;
    await wait(700);
  }
  count.textContent = "";
  if (!present()) return null;
  const clip = record();
  const images = [];
  for (let each = 0; each < FRAMES && present(); each += 1) {
    const left = SECONDS - Math.floor((each * SECONDS) / FRAMES);
    count.textContent = left;
    if (seen) read(images[images.push(snap(film)) - 1]);
    bar.value = each + 1;
    await wait((1000 * SECONDS) / FRAMES);
  }
  if (!present()) return null;
  const audio = await clip();
  count.textContent = "";
  says.textContent = t("camera-reading");
  return { images, ...(audio && { audio }) };
}

async function look(send) {
  let here = true;
  const present = () => here && dialog.open;
  dialog.addEventListener("close", () => (here = false), { once: true });
  step("show");
  dialog.querySelector("progress").value = 0;
  dialog.querySelector(".film").replaceChildren();
  dialog.querySelector(".count").textContent = "";
  says.textContent = t("camera-waiting");
  by("live-read").textContent = by("live-said").textContent = "";
  const reading = new AbortController();
  try {
    const opened = await open();
    stop();
    stream = opened;
    const taken = present() && (await capture(present, live(reading.signal)));
    stop();
    if (taken) send(taken);
  } catch (error) {
    if (present()) fail(error);
    else stop();
  } finally {
    reading.abort();
  }
}

/** Close the camera's dialog, as soon as it is known what was read. */
export function done() {
  if (dialog.open) dialog.close();
}

/** `send({images, audio})` is called with what was taken. */
export function begin(send) {
  by("look").addEventListener("click", () => {
    // Each time: who stands here now has not read it.
    step("notice");
    dialog.showModal();
  });
  by("camera-start").addEventListener("click", () => look(send));
  by("camera-again").addEventListener("click", () => look(send));
  dialog.addEventListener("close", stop);
}
