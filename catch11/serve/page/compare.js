// One recoded file: original and released side by side, who reads what, how far apart they are.
import { call, path, save } from "./api.js";
import { button, lostBecause, make } from "./parts.js";

const SIDE = 256;

export function card(part, source, job, key, seconds) {
  const box = make("article", { className: "card" }, make("h3", { textContent: part.name }));
  if (part.outcome !== "released") {
    box.append(make("p", { textContent: `${part.outcome === "skipped" ? "Not used" : "Withheld"}: ${lostBecause(part)}.` }));
    return box;
  }
  const address = `/v1/jobs/${job}/files/${path(part.file)}`;
  const facts = make("dl");
  const fact = (name, value) => facts.append(make("dt", { textContent: name }), make("dd", { textContent: value }));
  const buttons = make("p", {}, button("Download", () => save(address, part.file.split("/").pop()), `Download ${part.file}`));
  const right = make("div", {}, facts, buttons);
  fact("Took", `${seconds.toFixed(1)} s`);
  if (!part.file.endsWith(".png")) {
    box.append(right);
    return box;
  }
  const pair = make("div", { className: "pair" });
  box.append(pair);
  shown(part, source, address, pair, right, fact, key).catch((error) =>
    right.append(make("p", { className: "error", textContent: error.message })),
  );
  return box;
}

async function shown(part, source, address, pair, right, fact, key) {
  const released = await (await call(address)).blob();
  const [before, after] = [source, released].map((one) => URL.createObjectURL(one));
  const left = make(
    "div", {},
    make("div", { className: "compare" },
      make("img", { src: before, alt: `Original of ${part.name}` }),
      make("img", { src: after, alt: `Released file of ${part.name}`, className: "after" })),
  );
  const slider = make("input", { type: "range", min: 0, max: 100, value: 50 });
  slider.setAttribute("aria-label", `How much of the original of ${part.name} is shown`);
  slider.addEventListener("input", () => left.firstChild.style.setProperty("--at", `${slider.value}%`));
  left.append(slider);
  pair.append(left, right);
  const apart = await psnr(source, released);
  if (apart !== null) fact("Distance", `${apart.toFixed(1)} dB PSNR to the original, at ${SIDE} pixels a side`);
  right.append(await readers(part, source, released, key));
}

async function readers(part, source, released, key) {
  const asked = async (file) => {
    const form = new FormData();
    form.append("file", file, "picture.png");
    form.append("key", key);
    return (await call("/v1/answers", { method: "POST", body: form })).json();
  };
  let both;
  try {
    both = await Promise.all([asked(source), asked(released)]);
  } catch (error) {
    return make("p", { className: "hint", textContent: `No answers: ${error.message}` });
  }
  const [clean, made] = both;
  const body = make("tbody");
  clean.forEach((one, index) => {
    const two = made[index];
    const share = (said) => (said.confidence === null ? "" : ` (${Math.round(said.confidence * 100)}\u00a0%)`);
    const cell = make("td", { className: one.answer === two.answer ? "same" : "other" },
      `${two.answer}${share(two)} – ${one.answer === two.answer ? "the same" : "another"}`);
    body.append(make("tr", {}, make("th", { scope: "row", textContent: one.role === "authorized" ? `${one.model}, authorized` : one.model }),
      make("td", { textContent: `${one.answer}${share(one)}` }), cell));
  });
  const head = make("tr", {}, ...["Model", "Original", "Released file"].map((text) => make("th", { scope: "col", textContent: text })));
  const table = make("table", {}, make("caption", { textContent: "What each model answers" }), make("thead", {}, head), body);
  const scroll = make("div", { className: "scroll", tabIndex: 0 }, table);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", `Answers about ${part.name}`);
  return scroll;
}

// Of the middle square of both, brought to one size: the page has no canvas of the model's.
async function psnr(source, released) {
  try {
    const [a, b] = await Promise.all([source, released].map(pixels));
    let sum = 0;
    for (let i = 0; i < a.length; i += 1) if (i % 4 !== 3) sum += ((a[i] - b[i]) / 255) ** 2;
    return sum ? -10 * Math.log10(sum / (0.75 * a.length)) : null;
  } catch {
    return null;
  }
}

async function pixels(blob) {
  const image = await createImageBitmap(blob);
  const side = Math.min(image.width, image.height);
  const canvas = new OffscreenCanvas(SIDE, SIDE).getContext("2d");
  canvas.drawImage(image, (image.width - side) / 2, (image.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
  return canvas.getImageData(0, 0, SIDE, SIDE).data;
}

