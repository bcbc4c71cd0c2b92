// Lets a reader step through the frames of a stepper with a slider and two buttons. Without this script, and in print,
// all frames stand one after another.
for (const box of document.querySelectorAll(".hgg-frames")) {
  const frames = [...box.querySelectorAll(":scope > ol > li")];
  if (frames.length < 2) continue;
  const steps = document.createElement("div");
  steps.className = "steps";
  const title = document.createElement("b");
  title.textContent = box.getAttribute("aria-label");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: frames.length - 1, value: 0 });
  slider.setAttribute("aria-label", `${title.textContent}: frame`);
  const place = document.createElement("output");
  const show = (index) => {
    const at = Math.max(0, Math.min(frames.length - 1, index));
    frames.forEach((frame, i) => { frame.style.display = i === at ? "" : "none"; });
    slider.value = at;
    slider.setAttribute("aria-valuetext", `${at + 1} of ${frames.length}`);
    place.textContent = `${at + 1} of ${frames.length}`;
  };
  const button = (text, label, by) => {
    const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    made.setAttribute("aria-label", label);
    made.addEventListener("click", () => show(Number(slider.value) + by));
    return made;
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  steps.append(title, button("◀ back", "one frame back", -1), slider, button("next ▶", "one frame on", 1), place);
  box.classList.add("live");
  box.prepend(steps);
  show(0);
}
