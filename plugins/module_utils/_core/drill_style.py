# Copyright (c) 2026 pgstead contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a drill's page looks: by day, by night, on a telephone and on paper."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b2027;--soft:#59636e;--line:#d8dee4;--panel:#f6f8fa;
--good:#1a6b32;--warn:#8a5a00;--bad:#b3202c;--good-soft:#e6f4ea;--warn-soft:#fdf3d8;--bad-soft:#fdeaea}
@media (prefers-color-scheme:dark){:root{--paper:#10141a;--ink:#e4e8ed;--soft:#9aa5b1;--line:#2d343d;--panel:#181d25;
--good:#5cc77a;--warn:#e0b04a;--bad:#ff8080;--good-soft:#12291a;--warn-soft:#2d2410;--bad-soft:#341a1c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:66rem;margin:0 auto;padding:1.5rem 1rem 2rem}
h1{font-size:1.7rem;line-height:1.2;margin:.1rem 0 .7rem}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.6rem 0 .4rem}
p{margin:.3rem 0}h1,h3,dd,td,th,li,pre{overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.92em}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;margin:0;white-space:pre-wrap}
dl{display:flex;flex-wrap:wrap;gap:.35rem 1.6rem;margin:.5rem 0}dl div{min-width:0}
dt{font-size:.78rem;color:var(--soft)}dd{margin:0}
.banner{border:1px solid var(--line);border-left:.5rem solid var(--tone);border-radius:6px;background:var(--tint);padding:.8rem 1.1rem}
.banner h1{color:var(--tone)}.banner .kind{font-size:.78rem;color:var(--soft);margin:0}
.banner{--tone:var(--soft);--tint:var(--panel)}.banner.ok{--tone:var(--good);--tint:var(--good-soft)}
.banner.warning{--tone:var(--warn);--tint:var(--warn-soft)}.banner.failed{--tone:var(--bad);--tint:var(--bad-soft)}
.reasons{margin:.2rem 0 .8rem;padding-left:1.2rem}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem;margin-top:.8rem}
.card{border:1px solid var(--line);border-radius:6px;padding:.7rem 1rem}
.card h2{font-size:.85rem;font-weight:600;color:var(--soft);margin:0;padding:0;border:0}
.big{font-size:1.7rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.more{color:var(--soft);font-size:.88rem}
.good .verdict,.sign.good{color:var(--good)}.warn .verdict{color:var(--warn)}.bad .verdict,.sign.bad,.error{color:var(--bad)}
.bad .verdict,.warn .verdict,.error{font-weight:600}.card.bad .big{color:var(--bad)}
.track{fill:var(--line)}.used{fill:var(--good)}.bad .used{fill:var(--bad)}.limit{stroke:var(--ink);stroke-width:3}
.chart{display:block;overflow:hidden}.chart text{fill:var(--ink);font-size:12px}
.chart .tick{fill:var(--soft);font-size:11px}.chart .strong{fill:var(--ink)}.chart .row{font-weight:600}
.chart .bad{fill:var(--bad)}.chart .in{fill:#fff;font-size:11px}
.chart .halo{stroke:var(--paper);stroke-width:4px;paint-order:stroke}
.grid{stroke:var(--line)}.course{stroke:var(--soft);stroke-width:1.5}
.objective{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:7 4}.trend{stroke:var(--warn);stroke-width:2;stroke-dasharray:2 4}
.mark.good{fill:var(--good)}.mark.warn{fill:var(--warn)}.mark.cross{stroke:var(--bad);stroke-width:2.5;fill:none}
.mark.hollow{fill:var(--paper);stroke:var(--soft)}.chart .unmeasured{fill:var(--bad);font-weight:700}
.phase-0{fill:#2f6db5;background:#2f6db5}.phase-1{fill:#7a4fb0;background:#7a4fb0}.phase-2{fill:#b0541c;background:#b0541c}
.phase-3{fill:#2b7a68;background:#2b7a68}.phase-4{fill:#8a6d1a;background:#8a6d1a}.phase-5{fill:#1f7a8c;background:#1f7a8c}
.phase-other{fill:#5b6673;background:#5b6673}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.4rem 0;padding:0;font-size:.85rem;color:var(--soft)}
.key{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.35rem;vertical-align:-.08rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1rem 1.5rem}
figure{margin:0}figcaption{font-weight:600;margin-bottom:.2rem}
table{border-collapse:collapse;width:100%;font-size:.88rem;margin:.3rem 0}
caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
th,td{text-align:left;vertical-align:top;padding:.22rem .7rem .22rem 0;border-bottom:1px solid var(--line)}
thead th{font-size:.78rem;font-weight:600;color:var(--soft)}tbody th{font-weight:600}
.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.checks{table-layout:fixed}.checks th:first-child{width:8.5rem}
.checks th:nth-child(2){width:11.5rem}.checks th:nth-child(3){width:8rem}.checks .number{width:4.5rem}.history .number{width:9rem}
th:last-child,td:last-child{padding-right:.4rem}.checks td:first-child,.checks th:first-child{padding-left:.4rem}
.checks tr.bad{background:var(--bad-soft)}
footer{margin-top:2.5rem;border-top:1px solid var(--line);color:var(--soft);font-size:.82rem}
@media (max-width:40rem){
.checks thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.checks tr{display:grid;grid-template-columns:7rem 1fr auto;border-bottom:1px solid var(--line);padding:.2rem 0}
.checks tbody th,.checks td{border:0;padding:.05rem .3rem;width:auto}.checks .number{width:auto;grid-area:1/3}
.checks .database{grid-area:2/1}.checks .words{grid-area:2/2/3/4}
.history .number{width:auto;white-space:normal}.proofs th,.history td{overflow-wrap:normal}.history th{white-space:nowrap}
.wide{display:none}h1{font-size:1.35rem}th,td{padding-right:.4rem}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--panel:#fff}html{font-size:11px}body{font-size:1rem}main{max-width:none;padding:0}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}h2,h3{break-after:avoid}tr,figure,.card,.banner{break-inside:avoid}}
"""
