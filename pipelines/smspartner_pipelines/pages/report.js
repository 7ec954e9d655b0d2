
(() => {
  const words = WORDS, shown = 100, locale = document.documentElement.lang;
  const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
  const table = $(".camp"), body = table.tBodies[0], form = $(".tools"), none = $(".none"), total = $("tfoot tr", table);
  const whole = total.cells[0].textContent;
  const num = x => x.toLocaleString(locale);
  const share = (a, b) => b ? (100 * a / b).toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 }) + (locale === "fr" ? "\u202f%" : "%") : "–";
  const say = (key, facts) => words[key].replace(/\{(\w+)\}/g, (_, name) => facts[name]);
  const fold = s => s.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = [...body.rows].map(tr => {
    const [sent, n, good, final, out, wait, read] = tr.dataset.v.split("|").map(x => x === "" ? NaN : +x);
    const tag = tr.cells[0].firstElementChild.textContent;
    return { tr, tag, sent, n, good, final, out, wait, read, share: good / final, fail: final - good, opt: out / good };
  });
  const state = { q: "", days: "", sort: "-sent" }, first = { ...state };
  let all = rows.length <= shown;
  const heads = $$("th[data-k]", table).map(th => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = th.firstChild.data;
    th.firstChild.replaceWith(button);
    button.onclick = () => {
      const up = th.dataset.k, down = "-" + up;
      state.sort = up === "tag" ? (state.sort === up ? down : up) : (state.sort === down ? up : down);
      save();
    };
    return th;
  });

  function show() {
    const key = state.sort.replace("-", ""), sign = key === state.sort ? 1 : -1;
    const since = state.days ? table.dataset.now - state.days * 1440 : 0, wanted = fold(state.q);
    rows.sort((a, b) => key === "tag" ? sign * a.tag.localeCompare(b.tag)
      : isNaN(a[key]) - isNaN(b[key]) || sign * (a[key] - b[key]) || b.sent - a.sent);
    const sum = { n: 0, good: 0, final: 0, out: 0, wait: 0 };
    let seen = 0, loaded = 0;
    for (const r of rows) {
      const found = !(r.sent < since && !isNaN(r.n)) && fold(r.tag).includes(wanted);
      seen += found;
      r.tr.hidden = !found || (seen > shown && !all);
      if (!found || isNaN(r.n)) continue;
      loaded++;
      for (const k in sum) sum[k] += r[k];
    }
    body.append(...rows.map(r => r.tr));
    for (const th of heads) {
      if (th.dataset.k === key) th.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      else th.removeAttribute("aria-sort");
    }
    const c = total.cells;
    c[0].textContent = seen === rows.length ? whole : say("total_some", { n: num(loaded) });
    c[2].textContent = num(sum.n);
    c[3].firstChild.textContent = share(sum.good, sum.final);
    c[4].textContent = num(sum.final - sum.good);
    c[5].textContent = share(sum.out, sum.good);
    c[6].textContent = num(sum.wait);
    $("output", form).textContent = seen === rows.length ? "" : say("found", { seen: num(seen), all: num(rows.length) });
    table.hidden = !seen;
    none.hidden = seen > 0 && (all || seen <= shown);
    none.firstElementChild.textContent = seen ? "" : say(state.q && state.days ? "none_both" : state.q ? "none_named" : "none_sent", state);
    for (const g of $$("g[data-d]")) g.classList.toggle("off", +g.dataset.d + 1440 < since);
    form.q.value = state.q;
    form.days.value = state.days;
  }
  function save() {
    const p = new URLSearchParams(Object.entries(state).filter(([k, v]) => v !== first[k]));
    history.replaceState(null, "", p.size ? "#?" + p : location.pathname + location.search);
    show();
  }
  function decoded(id) {
    try { return decodeURIComponent(id); } catch { return id; }
  }
  function load() {
    if (location.hash.startsWith("#?")) for (const [k, v] of new URLSearchParams(location.hash.slice(2))) if (k in first) state[k] = v;
    if (!heads.some(th => th.dataset.k === state.sort.replace("-", ""))) state.sort = first.sort;
    if (![...form.days].some(one => one.value === state.days)) state.days = first.days;
    const target = location.hash.startsWith("#c-") && document.getElementById(decoded(location.hash.slice(1)));
    if (target) { target.parentElement.open = true; target.parentElement.scrollIntoView(); }
    show();
  }
  form.oninput = () => { state.q = form.q.value; state.days = form.days.value; save(); };
  form.onsubmit = () => false;
  $("button", none).onclick = () => { all = all || !none.firstElementChild.textContent; Object.assign(state, none.firstElementChild.textContent ? first : {}); save(); form.q.focus(); };
  addEventListener("hashchange", load);
  form.hidden = false;
  load();
})();
