// The last choices of this station, as a strip of posters.
import { chosen } from "./api.js";
import { by, make, t } from "./page.js";
import { poster } from "./poster.js";

const MANY = 16;

export async function show() {
  const section = by("history");
  const trouble = section.querySelector("p");
  try {
    const choices = await chosen(MANY);
    section.hidden = !choices.length;
    trouble.hidden = true;
    section.querySelector("ol").replaceChildren(
      ...choices.map(({ movieTitle: title }) =>
        make("li", { title }, poster({ title }), make("span", {}, title)),
      ),
    );
  } catch {
    section.hidden = trouble.hidden = false;
    trouble.textContent = t("history-failed");
  }
}
