// A kiosk forgets the person who left.
import { by, pageData } from "./page.js";

const ALONE = 60;
const WARNED = 10;

/** Start again, as nobody. */
export const afresh = () => location.replace(pageData.kiosk ? "/?kiosk=1" : "/");

export function begin() {
  if (!pageData.kiosk) return;
  const toast = by("idle");
  let last = Date.now();
  // The toast goes a moment later, or a tap on it would fall on what is below; as a popover it
  // stands before open dialogs.
  const here = () => (last = Date.now());
  for (const sign of ["pointerdown", "pointermove", "keydown", "input", "wheel", "touchmove"])
    addEventListener(sign, here, { passive: true, capture: true });
  setInterval(() => {
    const left = ALONE - Math.floor((Date.now() - last) / 1000);
    if (left <= 0) afresh();
    else toast.togglePopover(left <= WARNED);
  }, 1000);
}
