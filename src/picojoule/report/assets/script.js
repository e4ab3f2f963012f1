(() => {
  "use strict";
  const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => [...r.querySelectorAll(s)];
  const D = JSON.parse($("#data").textContent), W = D.words, root = document.documentElement;
  const T = 0, TL = 1, TH = 2, EL = 3, EH = 4, BY = 5, BD = 6, P0 = 7;
  const joules = D.devices.map((d) => d.rows.map((r) => r.slice(P0).reduce((a, b) => a + b, 0)));
  root.dataset.js = "";

  // Numbers as the page writes them
  const NAMES = ["f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E"];
  const power = (v) => (v ? Math.max(-5, Math.min(6, Math.floor(Math.log10(+v.toPrecision(3)) / 3 + 1e-9))) : 0);
  const digits = (x, n) => (x ? x.toFixed(Math.max(0, n - 1 - Math.floor(Math.log10(+x.toPrecision(n))))) : "0");
  const si = (v, u, n = 3) => { const p = power(v); return digits(v / 1000 ** p, n) + "\u202f" + NAMES[p + 5] + u; };
  const span = (a, b, u) => { const p = power(b), f = (v) => digits(+(v / 1000 ** p).toPrecision(2), 2);
    return f(a) + " – " + f(b) + "\u202f" + NAMES[p + 5] + u; };
  const whole = (v) => (v < 1000 ? String(v) : si(v, "").trimEnd());
  const fill = (text, v) => text.replace(/\{(\w+)\}/g, (_, k) => v[k]);
  const el = (tag, text = "", cls = "") => { const e = document.createElement(tag); e.textContent = text; if (cls) e.className = cls; return e; };
  const bound = (d, i) => { const b = d.bounds[d.rows[i][BD]]; return W["b_" + b] || b; };

  // The chosen operator, marked in every chart
  const read = $("#read"), slot = $("#slot");
  let chosen = -1;
  function pick(i, from) {
    if (i < 0 || i >= D.ops.length) return;
    chosen = i;
    $$(".on").forEach((e) => e.classList.remove("on"));
    $$(`[data-i="${i}"]`).forEach((e) => e.classList.add("on"));
    if (from) root.dataset.picked = "";
    if (!read) return;
    read.classList.toggle("float", !!from && !from.closest("#time"));
    const [name, op, shape, macs, times] = D.ops[i], head = el("h3");
    const close = el("button", "×", "btn x"); close.type = "button"; close.setAttribute("aria-label", W.close);
    head.append(times > 1 ? times + " × " : "", el("code", name), " ",
      el("small", [op, shape && "→ " + shape, macs && whole(macs) + " MAC"].filter(Boolean).join(" · ")));
    const cards = el("div", "", "cards");
    D.devices.forEach((d, n) => cards.append(card(d, n, i)));
    read.replaceChildren(close, head, cards);
  }
  function card(d, n, i) {
    const r = d.rows[i], e = joules[n][i], box = el("div"), line = el("p"), bar = el("i", "", "mb");
    const range = (a, b, u) => el("span", a < b ? ` (${span(a, b, u)})` : "", "dim");
    line.append(el("b", si(e, "J")), range(r[EL], r[EH], "J"), ` · ${fill(W.of_total, { x: (100 * e / d.energy_j[0]).toFixed(1) + "\u202f%" })} · `,
      el("b", si(r[T], "s")), range(r[TL], r[TH], "s"), ` · ${r[T] ? si(e / r[T], "W") : "–"} · `,
      `${si(r[BY], "B")} ${fill(W.moved, { memory: d.memory })} · ${W.bound.toLowerCase()} ${bound(d, i)}`);
    let sum = 0;
    bar.style.setProperty("--w", 100);
    [..."abcde"].forEach((k, p) => bar.style.setProperty("--" + k, 100 * (sum += r[P0 + p]) / (e || 1)));
    box.append(el("h4", d.title), line, bar);
    return box;
  }
  function clear() {
    root.removeAttribute("data-picked"); read?.classList.remove("float");
    $$(".on").forEach((e) => e.classList.remove("on")); chosen = -1;
  }

  // Invisible columns over the skyline take the pointer; no operator is too thin to be met by the arrow keys
  $$(".sky").forEach((sky) => {
    const rows = D.devices[sky.dataset.device].rows, total = rows.reduce((s, r) => s + r[T], 0), g = $(".hits", sky);
    let x = 0;
    rows.forEach((r, i) => {
      const w = r[T] / total * 1e4; if (!w) return;
      const c = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      c.setAttribute("x", x.toFixed(1)); c.setAttribute("width", w.toFixed(1)); c.setAttribute("height", 3000);
      c.dataset.i = i; g.append(c); x += w;
    });
    $(".plot", sky).addEventListener("keydown", (e) => {
      const n = D.ops.length, step = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10 }[e.key];
      const to = step ? Math.max(0, Math.min(n - 1, chosen + step)) : { Home: 0, End: n - 1 }[e.key];
      if (to !== undefined) { pick(to, sky); e.preventDefault(); }
    });
  });
  document.addEventListener("keydown", (e) => { if (e.key === "Escape") clear(); });
  document.addEventListener("pointerover", (e) => {
    const t = e.target.closest?.("[data-i]");
    if (t && !t.closest("table") && e.pointerType !== "touch") pick(+t.dataset.i, t);
  });
  document.addEventListener("click", (e) => {
    const t = e.target.closest("[data-i]"), s = e.target.closest("[data-save]");
    if (e.target.closest(".read .x")) clear();
    else if (t) pick(+t.dataset.i, t);
    else if (s) save(s.dataset.save);
  });

  // Table: sort, filter
  const body = $("#table tbody"), rows = [...body.rows];
  const key = (k) => (i) => k === "i" ? i : k === "m" ? D.ops[i][3] : k === "k" ? D.ops[i][1]
    : k[0] === "e" ? joules[k.slice(1)][i] : k[0] === "t" ? D.devices[k.slice(1)].rows[i][T] : bound(D.devices[k.slice(1)], i);
  $$("#table [data-sort]").forEach((th) => {
    const b = el("button", th.textContent); b.type = "button"; th.replaceChildren(b);
    b.addEventListener("click", () => {
      const of = key(th.dataset.sort), text = typeof of(0) === "string";
      const first = text || th.dataset.sort === "i" ? "ascending" : "descending", other = first === "ascending" ? "descending" : "ascending";
      const now = th.getAttribute("aria-sort") === first ? other : first, sign = now === "ascending" ? 1 : -1;
      $$("#table [aria-sort]").forEach((e) => e.removeAttribute("aria-sort")); th.setAttribute("aria-sort", now);
      rows.sort((a, b) => { const x = of(+a.dataset.i), y = of(+b.dataset.i);
        return sign * (text ? x.localeCompare(y) : x - y) || a.dataset.i - b.dataset.i; });
      body.append(...rows);
    });
  });
  const hits = $("#hits"), all = +$("#table").dataset.n;
  const show = (n) => { hits.textContent = fill(W.hits, { n, m: all }); };
  $("#q").addEventListener("input", (e) => {
    const q = e.target.value.trim().toLowerCase(); let n = 0;
    rows.forEach((r) => { r.hidden = !r.textContent.toLowerCase().includes(q); if (!r.hidden) n += D.ops[r.dataset.i][4]; });
    show(n);
  });
  show(all);

  // Downloads, from the data inside this file
  function records() {
    return D.devices.flatMap((d, n) => d.rows.map((r, i) => ({
      hardware: d.name, operator: D.ops[i][0], op: D.ops[i][1], shape: D.ops[i][2], times: D.ops[i][4], macs: D.ops[i][3],
      energy_j: +joules[n][i].toPrecision(6), energy_j_p05: r[EL], energy_j_p95: r[EH], time_s: r[T], time_s_p05: r[TL], time_s_p95: r[TH],
      traffic_bytes: r[BY], bound_by: d.bounds[r[BD]], ...Object.fromEntries(D.parts.map((p, k) => [p.replace("-", "_") + "_j", r[P0 + k]])) })));
  }
  // A leading = + - @ would be a formula in a spreadsheet
  const cell = (v) => { let t = String(v); if (typeof v === "string" && /^[=+\-@]/.test(t)) t = "'" + t; return /[",\n]/.test(t) ? `"${t.replace(/"/g, '""')}"` : t; };
  function save(kind) {
    const all = records();
    const text = kind === "csv" ? [Object.keys(all[0] || {}), ...all.map((o) => Object.values(o))].map((r) => r.map(cell).join()).join("\n") + "\n"
      : JSON.stringify({ schema: D.schema, model: D.model, devices: D.devices.map(({ rows, bounds, ...d }) => d), operators: all }, null, 1);
    const a = el("a"), url = URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
    a.href = url; a.download = (D.model.replace(/[^\w.-]+/g, "_") || "model") + "." + kind; a.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  // Light and dark
  const wish = matchMedia("(prefers-color-scheme: dark)"), dark = () => (root.dataset.theme || (wish.matches ? "dark" : "light")) === "dark";
  try { const t = localStorage.getItem("picojoule-theme"); if (t === "dark" || t === "light") root.dataset.theme = t; } catch { /* a file may have no storage */ }
  $("#theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("picojoule-theme", root.dataset.theme); } catch { /* then it is forgotten */ }
  });

  // What only a script makes true
  const say = (s, t) => { const e = $(s); if (e) e.innerHTML = t; };
  say("#time .lead", W.l_time); say("#ops .lead", W.l_ops_js);
  const costs = D.ops.map((_, i) => joules[0]?.[i] ?? 0);
  pick(costs.indexOf(Math.max(...costs)));
})();
