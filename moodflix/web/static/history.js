// The films chosen last at this station, as a strip of posters.
import { byId, datedTitle, displayTitle, make, pageData } from "./page.js";
import { poster } from "./poster.js";

let films = pageData.chosen;

export function show() {
  byId("history").hidden = !films.length;
  byId("history")
    .querySelector("ol")
    .replaceChildren(
      ...films.map((film) => {
        const title = displayTitle(film);
        return make("li", { title }, poster({ ...film, year: null }), make("span", {}, title));
      }),
    );
}

/** Put the film that was chosen just now first. */
export function add(chosen) {
  films = [chosen, ...films.filter((film) => datedTitle(film) !== datedTitle(chosen))];
  show();
}
