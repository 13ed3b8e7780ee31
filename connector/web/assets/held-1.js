// Lets a page change under nobody's hand: what is exchanged between press and release takes the click away.
let isPressed = false;
let late = null; // the form whose answer came meanwhile; the part that is asked for again and again needs no help

function heed(event) {
  isPressed = event.buttons > 0 || (event.type === "keydown" && event.key === " ");
  if (isPressed || !late) return;
  const form = late;
  late = null;
  setTimeout(() => form.isConnected && htmx.trigger(form, "submit")); // the click comes after the release
}

for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "keydown", "keyup"]) addEventListener(name, heed, true);
addEventListener("blur", heed); // of the window: a key is released elsewhere, and a menu takes the mouse's release
document.addEventListener("htmx:beforeOnLoad", (event) => {
  if (!isPressed) return;
  event.preventDefault();
  if (event.target.matches("form")) late = event.target;
});
