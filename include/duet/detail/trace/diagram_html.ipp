// Copyright the duet contributors. Distributed under the Boost Software License, Version 1.0.

#ifndef DUET_DETAIL_TRACE_DIAGRAM_HTML_IPP
#define DUET_DETAIL_TRACE_DIAGRAM_HTML_IPP

#include <string_view>

#include <duet/detail/trace/diagram_html.hpp>
#include <duet/detail/trace/diagram_svg.hpp>
#include <duet/detail/trace/printable.hpp>
#include <duet/detail/trace/svg_legend.hpp>

namespace duet {
inline namespace DUET_ABI {
namespace detail {

/// The browser loads nothing: what a peer said cannot call out.
inline constexpr std::string_view page_begin = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="color-scheme" content="light dark"/>
)html";

inline constexpr std::string_view page_css = R"css(
*{box-sizing:border-box}body{margin:0;font:15px/1.45 system-ui,sans-serif}
header,main,.events{padding:0 16px;max-width:1400px;margin:0 auto}
h1{font-size:20px;margin:16px 0 2px;overflow-wrap:anywhere}.verdict-line{font-weight:600;margin:0}.post{margin:2px 0;color:var(--muted);overflow-wrap:anywhere}
.tools{position:sticky;top:0;z-index:1;background:var(--bg);padding:8px 0;margin:8px 0 0;display:flex;flex-wrap:wrap;gap:6px;border-bottom:1px solid var(--line)}
button{font:inherit;font-size:14px;min-height:36px;min-width:36px;padding:4px 10px;color:var(--fg);background:transparent;border:1px solid var(--line);border-radius:6px;cursor:pointer}
button[aria-pressed=true]{background:var(--fg);color:var(--bg)}
:focus-visible{outline:2px solid var(--client);outline-offset:1px}
main{display:grid;grid-template-columns:minmax(0,1fr) 300px;gap:20px}
.picture{overflow-x:auto}.picture svg{display:block;height:auto;max-width:100%}.picture svg.narrow{display:none}
aside{position:sticky;top:60px;align-self:start;max-height:calc(100vh - 70px);overflow:auto;border:1px solid var(--line);border-radius:8px;padding:10px 14px;margin-top:14px;background:var(--bg)}
aside p{color:var(--muted);margin:0}dl{margin:0;display:grid;grid-template-columns:auto minmax(0,1fr);gap:2px 12px}dt{color:var(--muted)}dd{margin:0;overflow-wrap:anywhere}
.item{cursor:pointer;outline:none}.item.here .hit,.item:focus-visible .hit{fill:var(--band);stroke:var(--client)}.item:focus-visible .chip,.item:focus-visible rect.paper,.item:focus-visible .arrow{stroke-width:3}.item.here .chip,.item.here rect.paper{stroke-width:2.5;stroke:var(--client)}
.item.here .arrow{stroke-width:3}.item.here text{font-weight:700}.item.away{opacity:.25}
.events{margin-bottom:60px}.scroll{overflow-x:auto}summary{cursor:pointer;padding:8px 0}
table{border-collapse:collapse;font-size:13px}td,th{text-align:left;vertical-align:top;padding:3px 10px;border-top:1px solid var(--line)}td:nth-child(-n+3){white-space:nowrap}
@media(max-width:1000px){main{display:block}.picture svg.wide{width:100%}aside{position:sticky;bottom:0;top:auto;max-height:38vh}}
@media(max-width:700px){.tools{gap:4px}button{padding:4px 7px}.tools .long{display:none}.picture svg.wide{display:none}.picture svg.narrow{display:block;margin:0 auto}header,main,.events{padding:0 4px}header{padding:0 10px}td:last-child{min-width:60vw}}
)css";

inline constexpr std::string_view page_script = R"js(
(() => {
  const pictures = [...document.querySelectorAll('.picture svg')], panel = document.getElementById('facts');
  const initial = panel.innerHTML, widths = pictures.map(p => p.getAttribute('width'));
  let zoom = 1, pinned = null;
  const place = item => +item.dataset.i;
  const seen = () => pictures.find(p => p.getClientRects().length) || pictures[0];
  const items = () => [...seen().querySelectorAll('.item:not(.away)')];
  function show(item) {
    document.querySelectorAll('.here').forEach(e => e.classList.remove('here'));
    if (!item) { panel.innerHTML = initial; return; }
    document.querySelectorAll('.item[data-i="' + item.dataset.i + '"]').forEach(e => e.classList.add('here'));
    const list = document.createElement('dl');
    for (const line of item.dataset.facts.split('\n')) {
      const cut = line.indexOf(': '), name = document.createElement('dt'), value = document.createElement('dd');
      name.textContent = line.slice(0, cut); value.textContent = line.slice(cut + 2);
      list.append(name, value);
    }
    panel.replaceChildren(list);
  }
  function choose(item) {
    pinned = item; show(item);
    if (!item) return;
    for (const p of pictures) for (const e of p.querySelectorAll('.item'))
      if (e.tabIndex === 0 || place(e) === place(item)) e.setAttribute('tabindex', place(e) === place(item) ? '0' : '-1');
  }
  function reveal(item) { item.scrollIntoView({block: 'center', inline: 'nearest'}); }
  function pin(item) {
    choose(item);
    if (item) { item.focus({preventScroll: true}); reveal(item); }
    else if (document.activeElement.closest('.item')) document.activeElement.blur();
  }
  function step(by) {
    const all = items(), now = pinned ? place(pinned) : by > 0 ? -1 : Infinity;
    const next = by > 0 ? all.find(e => place(e) > now) : all.findLast(e => place(e) < now);
    if (next) pin(next);
  }
  function scale(by) {
    zoom = by ? Math.min(Math.max(zoom * by, 0.5), 4) : 1;
    pictures.forEach((p, i) => { p.style.width = zoom === 1 ? '' : widths[i] * zoom + 'px'; p.style.maxWidth = zoom === 1 ? '' : 'none'; });
    if (pinned) reveal(seen().querySelector('.item[data-i="' + pinned.dataset.i + '"]'));
  }
  function filter(only) {
    document.querySelectorAll('[data-only]').forEach(b => b.setAttribute('aria-pressed', String(b.dataset.only === only)));
    document.querySelectorAll('.segment.item').forEach(e => e.classList.toggle('away', only !== 'all' && !e.classList.contains(only)));
  }
  pictures.forEach(p => {
    p.addEventListener('mouseover', e => { const item = e.target.closest('.item'); if (item) show(item); });
    p.addEventListener('mouseleave', () => show(pinned));
    p.addEventListener('click', e => { choose(e.target.closest('.item')); });
    const first = p.querySelector('.item'); if (first) first.setAttribute('tabindex', '0');
  });
  // Chromium takes an image that listens for focus for something to have it.
  document.querySelector('.picture').addEventListener('focusin', e => { const item = e.target.closest('.item'); if (item) choose(item); });
  document.querySelectorAll('[data-only]').forEach(b => b.addEventListener('click', () => filter(b.dataset.only)));
  document.querySelectorAll('[data-zoom]').forEach(b => b.addEventListener('click', () => scale(+b.dataset.zoom)));
  document.querySelectorAll('[data-step]').forEach(b => b.addEventListener('click', () => step(+b.dataset.step)));
  const keys = {ArrowDown: () => step(1), ArrowRight: () => step(1), ArrowUp: () => step(-1), ArrowLeft: () => step(-1),
    Home: () => pin(items()[0]), End: () => pin(items().pop()), Escape: () => pin(null), '+': () => scale(1.25),
    '=': () => scale(1.25), '-': () => scale(0.8), '0': () => scale(0), a: () => filter('all'), c: () => filter('client'), s: () => filter('server')};
  document.addEventListener('keydown', e => {
    if (e.ctrlKey || e.metaKey || e.altKey || !keys[e.key] || e.target.closest('aside, .scroll')) return;
    keys[e.key](); e.preventDefault();
  });
})();
)js";

inline constexpr std::string_view page_tools = R"html(<div class="tools" role="toolbar" aria-label="View">
<button data-step="-1" title="Up arrow" aria-label="Previous">&#8593;</button><button data-step="1" title="Down arrow" aria-label="Next">&#8595;</button>
<button data-only="all" aria-pressed="true" title="a">both<span class="long"> ways</span></button><button data-only="client" aria-pressed="false" title="c"><span class="long">from </span>client</button><button data-only="server" aria-pressed="false" title="s"><span class="long">from </span>server</button>
<button data-zoom="0.8" title="-" aria-label="Smaller">&#8722;</button><button data-zoom="0" title="0" aria-label="Normal size">1:1</button><button data-zoom="1.25" title="+" aria-label="Larger">+</button>
</div>
)html";

inline std::string page_table(diagram_layout const& layout)
{
    std::string out =
        "<section class=\"events\"><details><summary>All " + std::to_string(layout.table.size()) +
        " events</summary><div class=\"scroll\"><table>\n<tr><th>#</th><th>time</th><th>end</th><th>facts</th></tr>\n";
    for (auto const& row : layout.table)
    {
        out += "<tr>";
        for (auto const& cell : row)
            out += "<td>" + xml(cell) + "</td>";
        out += "</tr>\n";
    }
    return out + "</table></div></details></section>\n";
}

DUET_DECL std::string draw_html(diagram_layout const& layout)
{
    std::string out(page_begin);
    out += "<title>" + xml(layout.title) + "</title>\n<style>";
    out.append(svg_css()).append(page_css) += "</style>\n</head>\n<body class=\"duet\">\n";
    out += "<header><h1>" + xml(layout.title) + "</h1>\n";
    if (!layout.verdict.empty())
        out += "<p class=\"verdict-line\">" + xml(layout.verdict) + "</p>\n";
    for (auto const& detail : layout.details)
        out += "<p class=\"post\">" + xml(detail) + "</p>\n";
    out.append("</header>\n<main><div>").append(page_tools) += "<div class=\"picture\">\n";
    out += draw_svg(layout, {960, true});
    out += draw_svg(layout, {372, true});
    out += "</div></div>\n<aside id=\"facts\" aria-live=\"polite\"><p>Choose something, or step with the arrow "
           "keys.</p></aside>"
           "</main>\n";
    out += page_table(layout);
    // Some browsers take ]]> and comments in scripts for markup: there are none.
    out.append("<script>").append(page_script) += "</script>\n</body>\n</html>\n";
    return out;
}

}  // namespace detail
}  // namespace DUET_ABI
}  // namespace duet

#endif
