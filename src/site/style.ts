/** The one style sheet: light or dark as the visitor's system is, one column on a phone. */
export const STYLE = `
:root { color-scheme: light dark; --ink: #1c2128; --soft: #57606a; --paper: #ffffff; --card: #f6f8fa; --line: #d0d7de; --link: #0a58ca; --good: #116329; --bad: #b3261e; --held: #2f6fde; --fetched: #b35900; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --soft: #9aa4af; --paper: #0d1117; --card: #161b22; --line: #30363d; --link: #79b8ff; --good: #56d364; --bad: #ff8a80; --held: #6ea8ff; --fetched: #f0a050; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; font: 1rem/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); overflow-wrap: break-word; }
[hidden] { display: none !important; }
.unseen { position: absolute; width: 1px; height: 1px; margin: 0; padding: 0; border: 0; overflow: hidden; clip-path: inset(50%); white-space: pre; }
header nav { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin-bottom: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
a { color: var(--link); }
.soft { color: var(--soft); }
.good { color: var(--good); }
.bad { color: var(--bad); }
.notice { border-left: 4px solid var(--bad); padding: .5rem 1rem; background: var(--card); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .35rem 0; background: var(--card); }
summary { cursor: pointer; padding: .4rem 1rem; overflow-wrap: anywhere; }
summary strong { margin-right: .75rem; }
details > div { padding: 0 1rem 1rem; }
pre { margin: .25rem 0 .75rem; padding: .75rem; overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem; background: var(--paper); font-size: .875rem; line-height: 1.45; user-select: all; -webkit-user-select: all; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
pre code { overflow-wrap: normal; }
.code { position: relative; }
button, input { font: inherit; color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .4rem; padding: .25rem .6rem; }
button { cursor: pointer; }
.copy { font-size: .875rem; min-width: 4.5rem; min-height: 1.75rem; }
.code > .copy { position: absolute; top: .4rem; right: .4rem; z-index: 1; }
.code > .copy + pre { padding-right: 6rem; }
td > .copy { float: right; margin-left: .5rem; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 1px; }
.search { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; }
.search input { flex: 1 1 12rem; min-width: 0; max-width: 28rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody th { min-width: 9rem; overflow-wrap: anywhere; }
#mirrors td, #days td { white-space: nowrap; }
#upstreams tbody th, #top tbody th, #fills tbody th { min-width: 14rem; }
#roots tbody th { min-width: 11rem; }
#troubles tbody th { min-width: 5rem; }
#troubles td:nth-child(2) { min-width: 7rem; }
#troubles td:nth-child(3), #storage td { min-width: 12rem; overflow-wrap: anywhere; }
#troubles td:nth-child(4) { min-width: 18rem; overflow-wrap: anywhere; }
#roots td:nth-child(4) { min-width: 13rem; overflow-wrap: anywhere; }
#roots td:nth-child(n + 6) { min-width: 8rem; overflow-wrap: anywhere; }
td { font-variant-numeric: tabular-nums; }
#top td { white-space: nowrap; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem 1.5rem; margin-bottom: 1rem; }
figure { margin: 0; min-width: 0; }
figcaption { overflow-wrap: anywhere; }
svg { display: block; width: 100%; }
svg text { fill: var(--soft); font-size: 11px; }
.axis { stroke: var(--line); }
rect.bar-held { fill: var(--held); }
rect.bar-fetched { fill: var(--fetched); }
.key::before { content: ""; display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: .15em; background: var(--held); }
.key.bar-fetched::before { background: var(--fetched); }
meter, progress { width: 100%; }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .35rem 1rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 34rem) { .code > .copy { position: static; display: block; margin: .5rem 0 .25rem auto; } .code > .copy + pre { padding-right: .75rem; } summary code { display: block; } dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
`.trim();
