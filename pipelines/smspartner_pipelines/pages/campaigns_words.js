"use strict";
// First of the page's own scripts, which are put together as one: words, numbers, and times in the reader's zone.
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
const toTheSecond = inZone({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
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

for (const element of document.querySelectorAll("time")) {
  const time = Date.parse(element.dateTime);
  element.textContent = element.closest(".figure") ? briefly(time) : moment.format(time); // a tile is narrow
}
