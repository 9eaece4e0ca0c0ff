// The evening's place, weather and days: from the clock, the station and this device, all editable.
import { byId, label, markPressed, onPress, pageData, remember, remembered, t } from "./page.js";

const dialog = byId("evening");
const form = dialog.querySelector("form");

const dayKind = (day) => (day % 6 === 0 ? "holiday" : "work");
const ofClock = (now) => ({
  // The server's week begins on Monday, the browser's on Sunday.
  weekday: pageData.weekdays[(now.getDay() + 6) % 7],
  today_status: dayKind(now.getDay()),
  tomorrow_status: dayKind((now.getDay() + 1) % 7),
  weather_desc: "",
  temperature: "",
});
const saved = remembered("evening") ?? {};
let today = new Date().toDateString();
// A saved place is used on any day, saved weather and days only on the day they are of.
const evening = {
  city: pageData.city,
  ...ofClock(new Date()),
  ...saved.place,
  ...(saved.day === today && saved.ofDay),
};

/** The evening as the server expects it, without what is unknown. */
export function environment() {
  noticeNewDay();
  const known = ([, value]) => value != null && value !== "";
  return Object.fromEntries(Object.entries(evening).filter(known));
}

/** Start again with the clock's day if the page stayed open over midnight. */
function noticeNewDay() {
  const now = new Date();
  if (now.toDateString() === today) return;
  today = now.toDateString();
  Object.assign(evening, ofClock(now));
  show();
}

function save() {
  const { city, lat, lon, ...ofDay } = evening;
  remember("evening", { place: { city, lat, lon }, day: today, ofDay });
}

function show() {
  markPressed(byId("weathers"), "weather", evening.weather_desc);
  const degrees = evening.temperature === "" ? "" : t("degrees", { celsius: evening.temperature });
  const tomorrow = t("tomorrow-is", { day: label("day", evening.tomorrow_status) });
  byId("evening-now").textContent = [
    evening.city,
    degrees,
    label("weekday", evening.weekday),
    tomorrow,
  ]
    .filter(Boolean)
    .join(" · ");
}

function edit() {
  noticeNewDay();
  for (const field of form.elements) if (field.name) field.value = evening[field.name] ?? "";
  byId("here-failed").hidden = true;
  dialog.showModal();
}

// The browser's coordinates, until the form is sent.
let located = {};
const placeName = ({ lat, lon }) => `${lat}, ${lon}`;

function readForm() {
  const entered = Object.fromEntries(new FormData(form));
  // Earlier coordinates are those of the earlier place.
  if (entered.city !== evening.city) Object.assign(evening, { lat: null, lon: null });
  Object.assign(evening, entered, located);
  located = {};
}

function locate(onFound, onFailure) {
  if (!navigator.geolocation) return onFailure();
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    // A hundredth of a degree is a kilometre: enough for an evening.
    const [lat, lon] = [coords.latitude, coords.longitude].map((each) => Number(each.toFixed(2)));
    onFound({ lat, lon });
  }, onFailure);
}

/** Fill in the place if none is known and the browser may tell it without asking the person. */
async function locateIfAllowed(update) {
  const permission = evening.city
    ? null
    : await navigator.permissions?.query({ name: "geolocation" });
  if (permission?.state !== "granted") return;
  locate(
    (here) => {
      Object.assign(evening, { city: placeName(here) }, here);
      update();
    },
    () => {},
  );
}

/** Show the evening; `changed()` is called after each change. */
export function init(changed) {
  for (const name of pageData.weekdays)
    form.elements.weekday.append(new Option(label("weekday", name), name));
  byId("evening-edit").addEventListener("click", edit);
  byId("here").addEventListener("click", () =>
    locate(
      (here) => {
        located = here;
        form.elements.city.value = placeName(here);
      },
      () => (byId("here-failed").hidden = false),
    ),
  );
  const update = () => {
    show();
    save();
    changed();
  };
  form.addEventListener("submit", () => {
    readForm();
    update();
  });
  onPress(byId("weathers"), "weather", (weather) => {
    evening.weather_desc = evening.weather_desc === weather ? "" : weather;
    update();
  });
  document.addEventListener("visibilitychange", noticeNewDay);
  show();
  locateIfAllowed(update);
}
