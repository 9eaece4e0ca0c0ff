// The evening: what the clock, the station and this device know of it, all of it editable.
import { by, label, onPress, pageData, press, remember, remembered, t } from "./page.js";

const dialog = by("evening");
const form = dialog.querySelector("form");
const now = new Date();
const today = now.toDateString();

const free = (day) => (day % 6 === 0 ? "holiday" : "work");
const clock = {
  // The server's week begins on Monday, the browser's on Sunday.
  weekday: pageData.weekdays[(now.getDay() + 6) % 7],
  today_status: free(now.getDay()),
  tomorrow_status: free((now.getDay() + 1) % 7),
  weather_desc: "",
  temperature: "",
};
const kept = remembered("evening") ?? {};
// A place lasts; what was said of a day lasts for that day.
const evening = {
  city: pageData.city,
  ...clock,
  ...kept.place,
  ...(kept.day === today && kept.ofDay),
};

/** The evening as the station takes it. */
export const environment = () =>
  Object.fromEntries(Object.entries(evening).filter(([, value]) => value != null && value !== ""));

function keep() {
  const { city, lat, lon, ...ofDay } = evening;
  remember("evening", { place: { city, lat, lon }, day: today, ofDay });
}

function show() {
  press(by("weathers"), "weather", evening.weather_desc);
  const degrees = evening.temperature === "" ? "" : t("degrees", { celsius: evening.temperature });
  const tomorrow = t("tomorrow-is", { day: label("day", evening.tomorrow_status) });
  by("evening-now").textContent = [
    evening.city,
    degrees,
    label("weekday", evening.weekday),
    tomorrow,
  ]
    .filter(Boolean)
    .join(" · ");
}

function edit() {
  for (const field of form.elements) if (field.name) field.value = evening[field.name] ?? "";
  by("here-failed").hidden = true;
  dialog.showModal();
}

// Where the browser said we are, until the form is sent.
let located = {};
const place = ({ lat, lon }) => `${lat}, ${lon}`;

function read() {
  const given = Object.fromEntries(new FormData(form));
  // Coordinates are those of the place they came with.
  if (given.city !== evening.city) Object.assign(evening, { lat: null, lon: null });
  Object.assign(evening, given, located);
  located = {};
}

function locate(found, failed) {
  if (!navigator.geolocation) return failed();
  navigator.geolocation.getCurrentPosition(({ coords }) => {
    // A hundredth of a degree is a kilometre: enough for an evening.
    const [lat, lon] = [coords.latitude, coords.longitude].map((each) => Number(each.toFixed(2)));
    found({ lat, lon });
  }, failed);
}

/** Fill in where we are, if nobody said it and the browser tells it without asking anybody. */
async function locateUnasked(settle) {
  const asked = evening.city ? null : await navigator.permissions?.query({ name: "geolocation" });
  if (asked?.state !== "granted") return;
  locate(
    (here) => {
      Object.assign(evening, { city: place(here) }, here);
      settle();
    },
    () => {},
  );
}

/** Show the evening; `changed()` is called after each change. */
export function begin(changed) {
  for (const name of pageData.weekdays)
    form.elements.weekday.append(new Option(label("weekday", name), name));
  by("evening-edit").addEventListener("click", edit);
  by("here").addEventListener("click", () =>
    locate(
      (here) => {
        located = here;
        form.elements.city.value = place(here);
      },
      () => (by("here-failed").hidden = false),
    ),
  );
  const settle = () => {
    show();
    keep();
    changed();
  };
  form.addEventListener("submit", () => {
    read();
    settle();
  });
  onPress(by("weathers"), "weather", (weather) => {
    evening.weather_desc = evening.weather_desc === weather ? "" : weather;
    settle();
  });
  show();
  locateUnasked(settle);
}
