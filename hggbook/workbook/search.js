// Finds the sections that hold all words of the query, those with a word in the heading first, and shows where.
const sections = JSON.parse(document.getElementById("sections").textContent);
const plain = (text) => text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
for (const section of sections) section.plain = [plain(`${section.title} ${section.heading}`), plain(section.text)];
const field = document.getElementById("q");
const list = document.getElementById("found");

function excerpt(section, words) {
  const at = Math.max(0, Math.min(...words.map((word) => section.plain[1].indexOf(word)).filter((i) => i >= 0)) - 60);
  const from = Number.isFinite(at) ? at : 0;
  const shown = section.text.slice(from, from + 220);
  const line = document.createElement("p");
  line.append(from > 0 ? "… " : "");
  let rest = shown;
  while (rest) {
    const low = plain(rest);
    const next = low.length === rest.length ? words.map((word) => [low.indexOf(word), word.length]).filter(([i]) => i >= 0) : [];
    if (!next.length) break;
    const [i, length] = next.reduce((a, b) => (b[0] < a[0] ? b : a));
    line.append(rest.slice(0, i), Object.assign(document.createElement("mark"), { textContent: rest.slice(i, i + length) }));
    rest = rest.slice(i + length);
  }
  line.append(rest, from + 220 < section.text.length ? " …" : "");
  return line;
}

function search() {
  const words = plain(field.value).split(/\s+/).filter(Boolean);
  const count = (text, word) => text.split(word).length - 1;
  const hits = words.length ? sections
    .filter((section) => words.every((word) => section.plain.some((text) => text.includes(word))))
    .map((section) => [words.reduce((sum, w) => sum + 20 * count(section.plain[0], w) + count(section.plain[1], w), 0), section])
    .sort((a, b) => b[0] - a[0]).slice(0, 40) : [];
  list.replaceChildren(...hits.map(([, section]) => {
    const item = document.createElement("li");
    const link = Object.assign(document.createElement("a"), { href: `${section.page}#${section.anchor}` });
    link.textContent = section.heading === section.title ? section.title : `${section.title}: ${section.heading}`;
    item.append(link, excerpt(section, words));
    return item;
  }));
  const number = hits.length === 40 ? "40 or more sections" : `${hits.length} section${hits.length === 1 ? "" : "s"}`;
  document.getElementById("count").textContent = words.length ? number : "";
}

field.value = new URLSearchParams(location.search).get("q") ?? "";
field.addEventListener("input", search);
search();
field.focus();
