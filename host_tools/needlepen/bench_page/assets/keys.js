/* One letter presses the button that shows it. In a field letters are text: Escape leaves it. */
document.addEventListener("keydown", (event) => {
  const focus = document.activeElement;
  const writing = focus && (focus.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(focus.tagName));
  if (event.key === "Escape" && writing) { focus.blur(); return; }
  if (writing || event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.key.length !== 1) return;
  const open = document.querySelector(".q-dialog .card");
  const wanted = `[data-key="${CSS.escape(event.key.toLowerCase())}"]`;
  const button = [...(open || document).querySelectorAll(wanted)]
    .find((each) => !each.disabled && !each.classList.contains("disabled") && each.offsetParent !== null);
  if (button) { event.preventDefault(); button.click(); }
});
/* Radio buttons of a group: arrows go from one to the next, as everywhere. */
document.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  const group = document.activeElement?.closest?.('[role="radiogroup"]');
  if (!step || !group || document.activeElement.getAttribute("role") !== "radio") return;
  const all = [...group.querySelectorAll('[role="radio"]:not([disabled])')];
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  event.preventDefault(); next.focus(); next.click();
});
