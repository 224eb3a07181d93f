"""How the audit's page looks: light and dark, narrow and wide, on a screen and on paper."""

STYLE = """
:root { color-scheme: light dark;
  --paper: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5b6675; --line: #dfe3e8;
  --new: #2563eb; --old: #b9c2ce; --good: #15803d; --bad: #c2261c; --warn: #a15c00;
  --track: #eceff3; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #0f141b; --card: #171e27; --ink: #e6eaf0; --soft: #98a4b3; --line: #2b3541;
  --new: #6ea0ff; --old: #4a5666; --good: #4ade80; --bad: #ff7b72; --warn: #f2b24c;
  --track: #222b36; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.05rem; margin: 0 0 .8rem; }
h3 { font-size: .85rem; margin: 1.2rem 0 .4rem; color: var(--soft); font-weight: 600; }
section, header { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 1.1rem 1.2rem; margin-bottom: 1rem; }
p { margin: .3rem 0; } .none, footer, .soft { color: var(--soft); }
a { color: var(--new); } code { font: .85em ui-monospace, "DejaVu Sans Mono", monospace; }
.badge { display: inline-block; padding: .05rem .5rem; border-radius: 99px; font-size: .78rem;
  font-weight: 600; border: 1px solid currentColor; white-space: nowrap; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
h1 .badge { font-size: .9rem; vertical-align: .25rem; margin-left: .4rem; }
.reason { font-size: 1.05rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .7rem 1.2rem;
  margin: 1rem 0 0; } dt { color: var(--soft); font-size: .8rem; } dd { margin: 0; }
ul { margin: .3rem 0; padding-left: 1.2rem; }
.stages { list-style: none; margin: 0; padding: 0; }
.stage { display: grid; grid-template-columns: 9.5rem 1fr 7rem; gap: .8rem; align-items: center;
  padding: .18rem 0; } .stage b { font-weight: 500; } .figure { text-align: right; }
.figure, td, .weights, .ticks { font-variant-numeric: tabular-nums; }
.track { position: relative; height: .8rem; background: var(--track); border-radius: 99px;
  overflow: hidden; } .bar { position: absolute; top: 0; bottom: 0; background: var(--new);
  border-radius: 99px; } .rollback .bar { background: var(--bad); }
.approval .bar, .checklist .bar { background: var(--old); }
.chart { margin: .2rem 0 0; padding-right: 6rem; }
.plot { position: relative; height: 12rem; } .plot svg { position: absolute; inset: 0; width: 100%;
  height: 100%; border-radius: 4px; } svg .old { fill: var(--old); opacity: .55; }
svg .new { fill: var(--new); opacity: .85; }
svg .edge { fill: none; stroke: var(--new); stroke-width: 2; }
.line { position: absolute; left: 0; right: 0; border-top: 1px dashed var(--line); height: 0;
  font-style: normal; } .line span { position: absolute; left: calc(100% + .4rem); top: -.65rem;
  font-size: .75rem; color: var(--soft); white-space: nowrap; }
.line.limit { border-color: var(--bad); } .line.limit span { color: var(--bad); }
.line.warn { border-color: var(--warn); } .line.warn span { color: var(--warn); }
.mark { position: absolute; top: -4px; bottom: 0; border-left: 2px solid var(--warn); }
.ticks { display: flex; justify-content: space-between; font-size: .75rem; color: var(--soft);
  margin-top: .3rem; }
.columns { display: flex; align-items: stretch; gap: 2px; border-bottom: 1px solid var(--line); }
.pair { flex: 1; display: flex; align-items: flex-end; justify-content: center; gap: 2px;
  min-width: 0; } .column { width: 40%; max-width: 16px; border-radius: 3px 3px 0 0; }
.column.new { background: var(--new); } .column.old { background: var(--old); }
.stem { width: 60%; max-width: 22px; background: var(--old); border-radius: 3px 3px 0 0; }
.stem.bad { background: var(--bad); } .stem.warn { background: var(--warn); }
.weights { display: flex; gap: 2px; font-size: .72rem; color: var(--soft); margin-top: .3rem; }
.weights span { flex: 1; text-align: center; min-width: 0; overflow: hidden; white-space: nowrap; }
.legend { font-size: .82rem; margin: 0 0 .6rem; } .key { margin-right: 1rem; }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; border-radius: 3px;
  margin-right: .4em; vertical-align: -.05em; background: var(--old); }
.key.new::before { background: var(--new); }
.key.message::before { background: var(--warn); width: 2px; }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .78rem; }
th, td { padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
tr:last-child td { border-bottom: 0; }
.answers { table-layout: fixed; } .answers th:first-child { width: 7.5rem; }
.answers th:nth-child(2) { width: 42%; }
.people { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem; }
.person { border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.person b { font-size: 1.05rem; }
details { margin-top: .6rem; } summary { cursor: pointer; color: var(--soft); }
pre { white-space: pre-wrap; font-size: .78rem; background: var(--track); border-radius: 8px;
  padding: .8rem; margin: .5rem 0 0; }
@media (min-width: 641px) { dl div:first-child { grid-column: span 2; } }
@media (max-width: 640px) {
  .line.zero span { display: none; }
  .chart { padding-right: 0; padding-top: .2rem; }
  .stage { grid-template-columns: 1fr auto; gap: 0 .8rem; }
  .stage .track { grid-row: 2; grid-column: 1 / -1; } .stage { padding: .3rem 0; }
  .line span { left: auto; right: 0; top: -1.15rem; background: var(--card); padding: 0 .2rem;
    border-radius: 3px; opacity: .92; z-index: 1; }
  .columns + .weights span:nth-child(even) { visibility: hidden; }
  .ticks .t1, .ticks .t3 { display: none; } .weights span { overflow: visible; }
  thead { display: none; } table, tbody, tr, td { display: block; }
  tr { padding: .5rem 0; border-bottom: 1px solid var(--line); } tr:last-child { border-bottom: 0; }
  td { border: 0; padding: .05rem 0 .05rem 6.5rem; position: relative; min-height: 1.4rem; }
  td:empty { display: none; }
  td::before { content: attr(data-label); position: absolute; left: 0; width: 6rem;
    color: var(--soft); font-size: .78rem; } }
@media print { :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc;
    --new: #2563eb; --old: #b9c2ce; --good: #15803d; --bad: #c2261c; --warn: #a15c00; --track: #eee;
    color-scheme: light; }
  body { font-size: 11px; } main { max-width: none; padding: 0; }
  section, header { break-inside: avoid-page; border-radius: 0; }
  section.long { break-inside: auto; } tr { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
