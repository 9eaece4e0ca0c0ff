// The last choices of this station, as a strip of posters.
import { by, called, make, named, pageData } from "./page.js";
import { poster } from "./poster.js";

let films = pageData.chosen;

export function show() {
  by("history").hidden = !films.length;
  by("history")
    .querySelector("ol")
    .replaceChildren(
      ...films.map((film) => {
        const title = called(film);
        return make("li", { title }, poster({ ...film, year: null }), make("span", {}, title));
      }),
    );
}

/** Put the film that was chosen just now first. */
export function add(chosen) {
  films = [chosen, ...films.filter((film) => named(film) !== named(chosen))];
  show();
}
