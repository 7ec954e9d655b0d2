// The table of campaigns, the chart that follows it, and what the reader does; last, since it shows everything.

/* ---- The table, and the chart that follows it ---- */

const collator = new Intl.Collator(locale, { numeric: true, sensitivity: "base" });
const PAGE = 50, BARS = 15, MOST_PRINTED = 1000;
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const searched = tags.tag.map(plain);
const messages = tags.tag.map((_, i) => statuses.reduce((sum, word) => sum + tags[word][i], 0));
const sortValue = {
  tag: null, standing: (i) => data.standing_names[tags.standing[i]], messages: (i) => messages[i],
  rate: (i) => (messages[i] ? tags.delivered[i] / messages[i] : -1),
};
const number = (values) => (i) => count.format(values[i]);
const at = (values) => (i) => (values[i] === null ? "–" : briefly(values[i] * 1000));
const cells = {
  tag: null, standing: (i) => data.standing_names[tags.standing[i]], messages: number(messages), rate: (i) => share(tags.delivered[i], messages[i]),
  newest: at(tags.newest), fetched: at(tags.fetched),
};
const state = { by: "messages", down: true, first: 0, size: PAGE, order: [] };

function compare(one, other) {
  const value = sortValue[state.by] || ((i) => tags[state.by][i]);
  const [a, b] = [value(one), value(other)];
  let found = typeof a === "string" ? collator.compare(a, b) : (a === null ? -Infinity : a) - (b === null ? -Infinity : b);
  if (Number.isNaN(found)) found = 0;
  return (state.down ? -found : found) || one - other;
}

function choose() {
  const words = plain(byId("search").value.trim());
  const standing = byId("standing").value;
  state.order = [];
  for (let i = 0; i < searched.length; i += 1) {
    if (searched[i].includes(words) && (!standing || tags.standing[i] === standing)) state.order.push(i);
  }
  state.order.sort(compare);
  state.first = 0;
  show();
}

function show() {
  const shown = state.order.slice(state.first, state.first + state.size);
  const body = document.querySelector("#table tbody");
  body.replaceChildren(...shown.map(tableRow));
  byId("found").textContent = state.order.length ? say("found", { found: state.order.length, all: searched.length }) : texts.none_found;
  byId("shown").textContent = shown.length ? say("shown", { first: state.first + 1, last: state.first + shown.length }) : "";
  byId("pages").hidden = state.order.length <= state.size;
  byId("previous").disabled = state.first === 0;
  byId("next").disabled = state.first + state.size >= state.order.length;
  for (const button of document.querySelectorAll("#table thead button")) {
    const sorted = button.value === state.by;
    button.parentElement.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
  }
  showBars(shown.slice(0, BARS));
}

function tableRow(i) {
  const row = document.createElement("tr");
  for (const { key, right } of data.columns) {
    const made = cell(row, key === "tag" ? "th" : "td", "", right);
    if (key === "tag") {
      made.scope = "row";
      made.appendChild(document.createElement("bdi")).textContent = tags.tag[i];
    } else made.textContent = (cells[key] || number(tags[key]))(i);
    if (key === "standing") made.className = `standing-${tags.standing[i]}`;
    if (key === "rate" && messages[i]) made.appendChild(miniBar(i));
  }
  return row;
}

function miniBar(i) {
  const bar = document.createElement("div");
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  for (const word of statuses) {
    if (!tags[word][i]) continue;
    const part = bar.appendChild(document.createElement("span"));
    part.className = `status-${word}`;
    part.style.flexGrow = tags[word][i];
  }
  return bar;
}

function showBars(shown) {
  const element = byId("statuses-chart");
  element.hidden = !shown.length;
  if (!shown.length) return;
  byId("statuses-summary").textContent = say("statuses", { first: tags.tag[shown[0]], last: tags.tag[shown[shown.length - 1]] });
  const rows = shown.flatMap((i) => byStatus(tags.tag[i], statuses.map((word) => tags[word][i]), "tag"));
  draw(element, barsSpec(rows, "tag", texts.campaign));
}

/* ---- What the reader does ---- */

function listen() {
  byId("search").addEventListener("input", choose);
  byId("standing").addEventListener("change", choose);
  byId("times-of").addEventListener("change", showTimes);
  for (const button of byId("times-by").children) button.addEventListener("click", () => { shownBy = button.value; showTimes(); });
  for (const button of document.querySelectorAll("#table thead button")) {
    button.addEventListener("click", () => {
      const words = button.value === "tag" || button.value === "standing";
      state.down = state.by === button.value ? !state.down : !words;
      state.by = button.value;
      choose();
    });
  }
  byId("previous").addEventListener("click", () => { state.first -= PAGE; show(); });
  byId("next").addEventListener("click", () => { state.first += PAGE; show(); });
  addEventListener("beforeprint", () => { state.size = MOST_PRINTED; state.first = 0; show(); });
  addEventListener("afterprint", () => { state.size = PAGE; show(); });
}

offerTags();
listen();
choose();
showTimes();
showCountries();
showProgress();
