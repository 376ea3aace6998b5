// Pieces of the page. Text is set as text: nothing that comes from a file or the gateway is read as HTML.
export const $ = (id) => document.getElementById(id);

export function make(tag, facts = {}, ...inside) {
  const found = Object.assign(document.createElement(tag), facts);
  found.append(...inside.filter((one) => one !== null && one !== undefined));
  return found;
}

export function row(...cells) {
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
}

// Rows into a table that is a list of cards on a narrow page: each cell has its column's name with it, and roles
// that the layout cannot take away.
export function fill(body, rows, none) {
  const table = body.closest("table");
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  body.replaceChildren(...rows);
  if (!rows.length) body.append(make("tr", {}, make("td", { colSpan: names.length, textContent: none })));
  table.setAttribute("role", "table");
  for (const part of [table.tHead, body]) part.setAttribute("role", "rowgroup");
  for (const line of table.rows) {
    line.setAttribute("role", "row");
    [...line.cells].forEach((cell, index) => {
      cell.setAttribute("role", cell.tagName === "TH" ? "columnheader" : "cell");
      if (line.cells.length > 1) cell.dataset.name = names[index];
    });
  }
}

export const day = (seconds) =>
  seconds ? new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }) : "never";

export function say(text) {
  $("said").textContent = text;
}

export function wrong(error) {
  $("wrong").textContent = error ? error.message : "";
  $("wrong").hidden = !error;
  if (error) say("");
}

// Runs what a person asked for; what is refused is said where screen readers hear it.
export async function tried(work) {
  wrong(null);
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") wrong(error); // the view was left
    return undefined;
  }
}

// Why a file was not released. A reason to withhold tells what the model answered, so the gateway states none.
export const lostBecause = (part) =>
  part.reason === "it was withheld" ? "the model would have answered otherwise, or no file was found" : part.reason;

export function button(text, does, label = text) {
  const made = make("button", { type: "button", className: "plain", textContent: text });
  if (label !== text) made.setAttribute("aria-label", label);
  made.addEventListener("click", () => tried(does));
  return made;
}
