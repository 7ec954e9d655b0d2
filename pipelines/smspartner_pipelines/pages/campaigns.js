"use strict";
// The page's own script: words and times, then charts, then the table. `vegaEmbed` comes before it.
const data = JSON.parse(document.getElementById("data").textContent);
const texts = data.texts;
const locale = data.language === "fr" ? "fr-FR" : "en-GB";
const zone = data.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
const byId = (id) => document.getElementById(id);
const count = new Intl.NumberFormat(locale);
const tags = data.tags;
const statuses = data.statuses;
const QUARTER = 15 * 60 * 1000, HOUR = 4 * QUARTER, DAY = 24 * HOUR;

function say(key, facts) {
  return texts[key].replace(/\{(\w+)\}/g, (_, name) => typeof facts[name] === "number" ? count.format(facts[name]) : facts[name]);
}

/* A share with one decimal; neither all nor nothing is claimed where it is not so. */
function share(part, whole) {
  if (!whole) return "–";
  let percent = Math.round(1000 * part / whole) / 10;
  if (part < whole) percent = Math.min(percent, 99.9);
  if (part > 0) percent = Math.max(percent, 0.1);
  const number = percent.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  return number + (data.language === "fr" ? "\u202f%" : "%");
}

/* ---- Times: shown in the reader's zone, or in the one that was asked for. ---- */

const inZone = (options) => new Intl.DateTimeFormat(locale, { timeZone: zone, ...options });
const asUtc = (options) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
const moment = inZone({ day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
const thisYear = inZone({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const yearOf = inZone({ year: "numeric" });
/* Without the year, where it is that of the page. */
const briefly = (time) => (yearOf.format(time) === yearOf.format(data.made * 1000) ? thisYear : moment).format(time);
const wallDay = asUtc({ weekday: "short", day: "numeric", month: "short", year: "numeric" });
const wallHour = asUtc({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const clock = asUtc({ hour: "2-digit", minute: "2-digit" });
const parts = inZone({ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric", hourCycle: "h23", calendar: "gregory", numberingSystem: "latn" });

function offsetNow(at) {
  const found = {};
  for (const part of parts.formatToParts(at)) found[part.type] = Number(part.value);
  return Date.UTC(found.year, found.month - 1, found.day, found.hour, found.minute, found.second) - at;
}

const offsets = new Map();
/* How far the zone's clocks are ahead of UTC; they change at some hour, so days without a change are asked for once. */
function offsetAt(at) {
  const day = Math.floor(at / DAY) * DAY;
  if (!offsets.has(day)) {
    const first = offsetNow(day), last = offsetNow(day + DAY - 1000);
    offsets.set(day, first === last ? first : null);
  }
  const known = offsets.get(day);
  return known === null ? offsetNow(Math.floor(at / QUARTER) * QUARTER) : known;
}

/* The series of a tag, or of all: [what the clocks of the zone show, as if it were UTC; deliveries]. */
function wallTimes(times, number) {
  const series = times.series[number];
  if (!series) return [];
  const [gaps, counts] = series;
  let slot = 0;
  return gaps.map((gap, i) => {
    slot += gap;
    const at = slot * times.step * QUARTER;
    return [times.step === 96 ? at : at + offsetAt(at), counts[i]];
  });
}

function summed(pairs, size) {
  const found = new Map();
  for (const [at, rows] of pairs) {
    const start = Math.floor(at / size) * size;
    found.set(start, (found.get(start) || 0) + rows);
  }
  return [...found].sort((one, other) => one[0] - other[0]);
}

for (const element of document.querySelectorAll("time")) element.textContent = moment.format(Date.parse(element.dateTime));

/* ---- Charts: colours are variables of the stylesheet, so that themes and print need no other drawing. ---- */

const colours = statuses.map((word) => `var(--status-${word})`);
const statusNames = statuses.map((word) => data.status_names[word]);
const dateFormat = { year: "%Y", quarter: "%b %Y", month: "%b %Y", week: "%-d %b", date: "%-d %b", day: "%-d %b", hours: "%H:%M", minutes: "%H:%M" };
const config = {
  background: "transparent", font: getComputedStyle(document.body).fontFamily, aria: false, padding: 4, locale: { number: data.number_format, time: data.time_format },
  view: { stroke: null }, bar: { discreteBandSize: { band: 0.75 } },
  axis: { labelColor: "var(--text-quiet)", titleColor: "var(--text-quiet)", gridColor: "var(--line)", domainColor: "var(--line-strong)", tickColor: "var(--line-strong)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: 400, labelLimit: 170 },
  legend: { labelColor: "var(--text)", labelFontSize: 12, symbolType: "square", orient: "top", direction: "horizontal", title: null },
};
const views = new Map();

async function draw(element, spec) {
  const before = views.get(element);
  const made = await vegaEmbed(element, { width: "container", autosize: { type: "fit-x", contains: "padding" }, ...spec, config }, {
    actions: false, renderer: "svg", ast: true, mode: "vega-lite", tooltip: { theme: "custom" },
  });
  if (before) before.finalize();
  element.querySelector("svg").setAttribute("aria-hidden", "true"); // the chart is an image with words beside it
  views.set(element, made);
}

const statusColour = { field: "status", type: "nominal", scale: { domain: statusNames, range: colours }, legend: null };
const wholeNumbers = { format: ",d", tickMinStep: 1, tickCount: 4, title: null };

function barsSpec(rows, field, title) {
  return {
    data: { values: rows }, height: 22 * new Set(rows.map((row) => row[field])).size,
    mark: { type: "bar", stroke: "var(--surface)", strokeWidth: 0.5 },
    encoding: {
      y: { field, type: "nominal", sort: null, axis: { title: null, ticks: false, domain: false, labelPadding: 6, labelColor: "var(--text)" } },
      x: { field: "rows", type: "quantitative", stack: "normalize", axis: { format: ".0%", tickCount: 5, title: null } },
      color: statusColour, order: { field: "order", type: "quantitative" },
      tooltip: [{ field, title }, { field: "status", title: texts.status }, { field: "rows", format: ",d", title: texts.rows }, { field: "part", title: texts.share }],
    },
  };
}

function byStatus(name, counts, field) {
  const all = counts.reduce((sum, rows) => sum + rows, 0);
  return counts.map((rows, order) => ({ [field]: name, status: statusNames[order], order, rows, part: share(rows, all) }));
}

/* ---- A chart's figures, for those who do not see it. ---- */

function cell(row, kind, text, right) {
  const made = row.appendChild(document.createElement(kind));
  made.textContent = text;
  if (right) made.className = "number";
  return made;
}

function figuresTable(element, heads, rows) {
  const open = element.firstChild ? element.firstChild.open : false;
  const details = document.createElement("details");
  details.open = open;
  details.appendChild(document.createElement("summary")).textContent = texts.figures_table;
  const fill = () => {
    if (details.childElementCount > 1) return;
    const frame = details.appendChild(document.createElement("div"));
    frame.className = "table-frame";
    frame.tabIndex = 0;
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", texts.figures_table);
    const table = frame.appendChild(document.createElement("table"));
    const head = table.createTHead().insertRow();
    heads.forEach((name, i) => { cell(head, "th", name, i > 0).scope = "col"; });
    const body = table.createTBody();
    for (const values of rows) {
      const row = body.insertRow();
      values.forEach((value, i) => {
        const made = cell(row, i ? "td" : "th", value, i > 0);
        if (!i) made.scope = "row";
      });
    }
  };
  if (open) fill();
  details.addEventListener("toggle", fill);
  element.replaceChildren(details);
}

/* ---- Deliveries over time ---- */

const LAST_DAYS = 7;
const timesBy = { day: showDays, hour: showHours, clock: showClock };
let shownBy = "day";

function showTimes() {
  const of = byId("times-of").value;
  const times = of === "" ? data.times : data.tag_times;
  const pairs = wallTimes(times, of === "" ? 0 : of);
  for (const button of byId("times-by").children) {
    button.disabled = times.step === 96 && button.value !== "day";
    if (button.disabled && shownBy === button.value) shownBy = "day";
  }
  for (const button of byId("times-by").children) button.setAttribute("aria-pressed", button.value === shownBy);
  byId("times-chart").hidden = !pairs.length;
  if (!pairs.length) {
    byId("times-summary").textContent = texts.no_times;
    byId("times-table").replaceChildren();
    return;
  }
  timesBy[shownBy](pairs, { 1: "", 4: texts.hourly, 96: texts.daily }[times.step]);
}

function peakOf(pairs) {
  return pairs.reduce((most, pair) => (pair[1] > most[1] ? pair : most));
}

function showSeries(pairs, size, written, note, sentence) {
  const rows = pairs.reduce((sum, pair) => sum + pair[1], 0);
  const peak = peakOf(pairs);
  byId("times-summary").textContent = [sentence(rows, written(peak[0]), peak[1]), note].filter(Boolean).join(" ");
  figuresTable(byId("times-table"), [texts.when, texts.deliveries], pairs.map(([at, found]) => [written(at), count.format(found)]));
  const first = pairs[0][0], last = pairs[pairs.length - 1][0] + size;
  draw(byId("times-chart"), {
    // Two empty slots keep a single one from being as wide as the page.
    data: { values: [...pairs, [first - size, 0], [last, 0]].map(([at, found]) => ({ from: at, to: at + size * 0.92, rows: found, when: written(at) })) }, height: 220,
    mark: { type: "rect", color: "var(--status-delivered)" },
    encoding: {
      x: { field: "from", type: "temporal", scale: { type: "utc" }, axis: { title: null, grid: false, format: dateFormat, labelOverlap: "greedy", labelSeparation: 8, labelFlush: true, tickCount: size === DAY ? { interval: "day", step: Math.max(1, Math.ceil((last - first) / DAY / 10)) } : 8 } },
      x2: { field: "to" },
      y: { field: "rows", type: "quantitative", axis: wholeNumbers }, y2: { datum: 0 },
      tooltip: [{ field: "when", title: texts.when }, { field: "rows", format: ",d", title: texts.deliveries }],
    },
  });
}

function showDays(pairs, note) {
  const days = summed(pairs, DAY);
  const written = (at) => wallDay.format(at);
  showSeries(days, DAY, written, note, (rows, peak, most) =>
    say("times_day", { rows, peak, most, first: written(days[0][0]), last: written(days[days.length - 1][0]) }));
}

function showHours(pairs, note) {
  const days = summed(pairs, DAY).slice(-LAST_DAYS);
  const hours = summed(pairs.filter(([at]) => at >= days[0][0]), HOUR);
  showSeries(hours, HOUR, (at) => wallHour.format(at), note, (rows, peak, most) => say("times_hour", { rows, peak, most, days: days.length }));
}

function showClock(pairs, note) {
  const hours = Array(24).fill(0);
  for (const [at, rows] of pairs) hours[Math.floor((at % DAY) / HOUR)] += rows;
  showSeries(hours.map((rows, hour) => [hour * HOUR, rows]), HOUR, (at) => clock.format(at), note, (rows, peak, most) => say("times_clock", { rows, peak, most }));
}

function offerTags() {
  const select = byId("times-of");
  select.append(new Option(texts.all_campaigns, ""));
  const known = Object.keys(data.tag_times.series).map(Number).sort((one, other) => collator.compare(tags.tag[one], tags.tag[other]));
  for (const number of known) select.append(new Option(tags.tag[number], number));
  select.disabled = !known.length;
  if (!known.length && Object.keys(data.times.series).length) select.title = texts.too_many;
}

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
  newest: at(tags.newest), read: at(tags.read),
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

/* ---- Countries and progress ---- */

const MOST_COUNTRIES = 12;

function showCountries() {
  if (!data.countries.length) { byId("countries-chart").hidden = true; return; }
  const names = new Intl.DisplayNames(locale, { type: "region", fallback: "code" });
  const all = data.countries.map(([code, counts]) => [code === null ? texts.no_country : names.of(code), counts]);
  const sum = (counts) => counts.reduce((total, rows) => total + rows, 0);
  all.sort((one, other) => sum(other[1]) - sum(one[1]));
  const rest = all.slice(MOST_COUNTRIES);
  const drawn = all.slice(0, MOST_COUNTRIES);
  if (rest.length) drawn.push([say("others", { count: rest.length }), statuses.map((_, s) => sum(rest.map((one) => one[1][s])))]);
  byId("countries-summary").textContent += ` ${say("countries", { first: all[0][0], rows: sum(all[0][1]) })}`;
  const spec = barsSpec(drawn.flatMap(([name, counts]) => byStatus(name, counts, "country")), "country", texts.country);
  spec.encoding.x = { field: "rows", type: "quantitative", axis: { format: ",d", tickCount: 4, title: null } };
  draw(byId("countries-chart"), spec);
  figuresTable(byId("countries-table"), [texts.country, texts.rows, ...statusNames], all.map(([name, counts]) => [name, ...[sum(counts), ...counts].map((rows) => count.format(rows))]));
}

function showProgress() {
  const place = byId("progress");
  if (!place) return;
  data.progress.forEach(({ tag, readings }, n) => {
    const block = place.appendChild(document.createElement("div"));
    const title = block.appendChild(document.createElement("h3"));
    title.appendChild(document.createElement("bdi")).textContent = tag;
    const words = block.appendChild(document.createElement("p"));
    const last = readings[readings.length - 1][1];
    const all = last.reduce((sum, rows) => sum + rows, 0);
    words.textContent = say("progress", { share: share(last[statuses.indexOf("delivered")], all), waiting: last[statuses.indexOf("waiting")], count: readings.length });
    title.id = `progress-of-${n}`;
    words.id = `progress-words-${n}`;
    const chart = block.appendChild(document.createElement("div"));
    chart.className = "chart";
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-labelledby", `${title.id} ${words.id}`);
    const rows = readings.flatMap(([when, counts]) => byStatus(moment.format(when * 1000), counts, "when"));
    const spec = barsSpec(rows, "when", texts.reading);
    const { x, y } = spec.encoding;
    spec.encoding.x = { ...y, axis: { ...y.axis, labels: false } };
    spec.encoding.y = { ...x, axis: { ...x.axis, tickCount: 3 } };
    draw(chart, { ...spec, height: 90 });
  });
  const rows = data.progress.flatMap(({ tag, readings }) => readings.map(([when, counts]) => [tag, moment.format(when * 1000), ...counts.map((found) => count.format(found))]));
  figuresTable(byId("progress-table"), [texts.campaign, texts.reading, ...statusNames], rows);
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
