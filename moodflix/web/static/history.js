// The last choices of this station, as a strip of posters.
import { by, make, told } from "./page.js";
import { poster } from "./poster.js";

let films = told.chosen;

export function show() {
  by("history").hidden = !films.length;
  by("history").querySelector("ol").replaceChildren(
    ...films.map(({ title, genres }) =>
      make("li", { title }, poster({ title, genres }), make("span", {}, title)),
    ),
  );
}

/** Put the film that was chosen just now first. */
export function add(chosen) {
  films = [chosen, ...films.filter(({ title }) => title !== chosen.title)];
  show();
}
