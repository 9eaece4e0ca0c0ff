// A kiosk starts again when nobody has touched it for a while.
import { byId, pageData } from "./page.js";

const IDLE_SECONDS = 60;
const WARNING_SECONDS = 10;

/** Load the page again, which forgets the person. */
export const startAgain = () => location.replace(pageData.kiosk ? "/?kiosk=1" : "/");

export function init() {
  if (!pageData.kiosk) return;
  const toast = byId("idle");
  let lastInput = Date.now();
  // This doesn't hide the toast at once: a tap on it would fall on what is below. It is a popover so
  // that it stands before open dialogs.
  const noteInput = () => (lastInput = Date.now());
  for (const type of ["pointerdown", "pointermove", "keydown", "input", "wheel", "touchmove"])
    addEventListener(type, noteInput, { passive: true, capture: true });
  setInterval(() => {
    const left = IDLE_SECONDS - Math.floor((Date.now() - lastInput) / 1000);
    if (left <= 0) startAgain();
    else toast.togglePopover(left <= WARNING_SECONDS);
  }, 1000);
}
