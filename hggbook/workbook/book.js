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

// Slides: the page's figures one at a time over the whole window, each below the heading it stands under.
const figures = [...document.querySelectorAll("main figure")];
if (figures.length) {
  const heading = (figure) => [...document.querySelectorAll("main h1, main h2, main h3")]
    .filter((title) => title.compareDocumentPosition(figure) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
  const made = (tag, values = {}) => Object.assign(document.createElement(tag), values);
  const open = made("button", { type: "button", className: "slides-open", textContent: "Slides" });
  const box = made("dialog", { className: "slides" });
  const title = made("h2");
  const stage = made("div", { className: "stage" });
  const row = made("p");
  const place = made("output");
  let at = 0;
  const show = (index) => {
    at = Math.max(0, Math.min(figures.length - 1, index));
    title.textContent = heading(figures[at])?.firstChild?.textContent ?? "";
    stage.replaceChildren(figures[at].cloneNode(true));
    place.textContent = `${at + 1} of ${figures.length}`;
  };
  const button = (text, act) => {
    const one = made("button", { type: "button", textContent: text });
    one.addEventListener("click", act);
    return one;
  };
  row.append(button("◀ back", () => show(at - 1)), place, button("next ▶", () => show(at + 1)));
  row.append(button("close", () => box.close()));
  box.setAttribute("aria-label", "Figures of this page as slides; arrow keys move, Escape closes");
  box.append(title, stage, row);
  box.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, PageDown: 1, " ": 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (!by || (event.key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    show(at + by);
  });
  open.addEventListener("click", () => { show(at); box.showModal(); });
  document.querySelector("header nav")?.append(open);
  document.body.append(box);
}
