// Charts and their figures; `vegaEmbed` comes before.

/* ---- Charts: colours are variables of the stylesheet, so that themes and print need no other drawing. ---- */

const colours = statuses.map((word) => `var(--status-${word})`);
const statusNames = statuses.map((word) => data.status_names[word]);
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

const peakOf = (pairs) => pairs.reduce((most, pair) => (pair[1] > most[1] ? pair : most));

const MOST_WIDTH = 1 / 8; // of the chart, so that a single bar is not as wide as the page

/* Hours begin at their ticks; days stand above theirs. No slot beyond the first and the last is drawn. */
function barsOverTime(pairs, size, written) {
  const first = pairs[0][0], last = pairs[pairs.length - 1][0];
  const slots = (last - first) / size + 1;
  const middle = size === DAY ? 0 : size / 2, half = size * Math.min(0.46, slots * MOST_WIDTH / 2);
  const step = size === DAY ? DAY * Math.ceil(slots / 10) : HOUR * ([1, 3, 6, 12].find((hours) => slots / hours <= 9) || 24 * Math.ceil(slots / 24 / 9));
  const start = size === DAY ? first : Math.ceil(first / step) * step;
  const ticks = Array.from({ length: Math.max(1, Math.floor((last - start) / step) + 1) }, (_, i) => start + i * step);
  const format = size === DAY ? (slots > 300 ? "'%b %Y'" : "'%-d %b'") : `datum.value % ${DAY} || datum.value === 0 ? '%H:%M' : '%-d %b'`;
  return {
    data: { values: pairs.map(([at, found]) => ({ from: at + middle - half, to: at + middle + half, rows: found, when: written(at) })) }, height: 220,
    mark: { type: "rect", color: "var(--status-delivered)" },
    encoding: {
      x: {
        field: "from", type: "quantitative", scale: { zero: false, nice: false, domain: [first + middle - size / 2, last + middle + size / 2] },
        axis: { title: null, grid: false, values: ticks, labelExpr: `utcFormat(datum.value, ${format})`, labelOverlap: "greedy", labelSeparation: 8, labelFlush: false },
      },
      x2: { field: "to" },
      y: { field: "rows", type: "quantitative", axis: wholeNumbers }, y2: { datum: 0 },
      tooltip: [{ field: "when", title: texts.when }, { field: "rows", format: ",d", title: texts.deliveries }],
    },
  };
}

function showSeries(pairs, size, written, note, sentence) {
  const rows = pairs.reduce((sum, pair) => sum + pair[1], 0);
  const peak = peakOf(pairs);
  byId("times-summary").textContent = [sentence(rows, written(peak[0]), peak[1]), note].filter(Boolean).join(" ");
  figuresTable(byId("times-table"), [texts.when, texts.deliveries], pairs.map(([at, found]) => [written(at), count.format(found)]));
  draw(byId("times-chart"), barsOverTime(pairs, size, written));
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

/* ---- Countries and progress ---- */

const MOST_COUNTRIES = 12;

/* Bars from zero, with the messages at the end of each: beside a large one, a small one is a hairline. */
function countriesSpec(drawn) {
  const { data: bars, height, mark, encoding } = barsSpec(drawn.flatMap(([name, counts]) => byStatus(name, counts, "country")), "country", texts.country);
  const totals = drawn.map(([country, , all]) => ({ country, all, written: count.format(all) }));
  const longest = Math.max(...totals.map(({ written }) => written.length));
  return {
    height, padding: { left: 4, top: 4, bottom: 4, right: 12 + 8 * longest },
    layer: [
      { data: bars, mark, encoding: { ...encoding, x: { field: "rows", type: "quantitative", scale: { nice: false }, axis: { format: ",d", tickCount: 4, title: null } } } },
      { data: { values: totals }, mark: { type: "text", align: "left", dx: 5, fontSize: 12, color: "var(--text)" }, encoding: { y: encoding.y, x: { field: "all", type: "quantitative" }, text: { field: "written" } } },
    ],
  };
}

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
  draw(byId("countries-chart"), countriesSpec(drawn.map(([name, counts]) => [name, counts, sum(counts)])));
  figuresTable(byId("countries-table"), [texts.country, texts.rows, ...statusNames], all.map(([name, counts]) => [name, ...[sum(counts), ...counts].map((rows) => count.format(rows))]));
}

/* The times of readings; with seconds where minutes do not tell them apart. */
function timesOfReadings(readings) {
  const times = readings.map(([at]) => briefly(at * 1000));
  return new Set(times).size === times.length ? times : readings.map(([at]) => toTheSecond.format(at * 1000));
}

/* A bar for each reading, in their order: several may be of one minute. The axis tells the first and the last time. */
function progressSpec(readings) {
  const times = timesOfReadings(readings);
  const last = readings.length - 1;
  const rows = readings.flatMap(([, counts], n) => byStatus(n, counts, "reading").map((row) => ({ ...row, when: times[n] })));
  const spec = barsSpec(rows, "reading", texts.fetched);
  const { x, y, tooltip } = spec.encoding;
  tooltip[0].field = "when";
  const aligned = last < 3 ? "center" : { condition: { test: "datum.value === 0", value: "left" }, value: "right" };
  const labels = { values: [...new Set([0, last])], labelExpr: `datum.value === 0 ? ${JSON.stringify(times[0])} : ${JSON.stringify(times[last])}`, labelAngle: 0, labelAlign: aligned, labelOverlap: false };
  spec.encoding.x = { ...y, axis: { ...y.axis, ...labels } };
  spec.encoding.y = { ...x, axis: { ...x.axis, tickCount: 3 } };
  return { ...spec, height: 90 };
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
    draw(chart, progressSpec(readings));
  });
  const rows = data.progress.flatMap(({ tag, readings }) => {
    const times = timesOfReadings(readings);
    return readings.map(([, counts], n) => [tag, times[n], ...counts.map((found) => count.format(found))]);
  });
  figuresTable(byId("progress-table"), [texts.campaign, texts.fetched, ...statusNames], rows);
}
