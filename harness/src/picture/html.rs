//! [`html`]: a failing schedule as one page that needs nothing but itself.
//!
//! Invariants: no script, no reference to anything outside; every text of the run is escaped; tags are balanced, also
//! by the rules of XML; the same lanes give the same bytes; at most about [`ROWS_MAX`] steps are drawn, and the page
//! says what is not.
//! Not here: the drawing (`svg`), what the steps mean (`lanes`).

use super::lanes::Lanes;
use super::rows;
use super::svg;
use super::text::{escaped, visible, visible_lines};

/// More steps than this are not drawn.
pub const ROWS_MAX: usize = 1000;

/// More objects than this are not in the legend.
const LEGEND_MAX: usize = 60;

/// What stands above a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Scenario and cell, and the seed where it is known.
    pub title: String,
    /// What the run came to.
    pub verdict: String,
    /// How many preemptions the run had, where that was counted; else the steps are asked, which know bounds only.
    pub preemptions: Option<usize>,
}

/// The page of `lanes` with the failure's `report` below.
pub fn html(lanes: &Lanes, heading: &Heading, report: Option<&str>) -> String {
    let rows = rows::rows(lanes, ROWS_MAX);
    let shown = rows::lanes_in(lanes, &rows);
    let drawing = svg::draw(lanes, &rows, &shown);
    let title = escaped(&visible(&heading.title));
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n");
    page.push_str(&format!("<title>{title}</title>\n<style>\n{STYLE}"));
    for place in 0..svg::classes(&drawing) {
        let (class, color) = (svg::class(place), svg::color(place));
        page.push_str(&format!(".{class} {{ fill: {color}; background: {color}; }}\n"));
    }
    page.push_str("</style>\n</head>\n<body>\n");
    page.push_str(&format!("<h1>{title}</h1>\n<p>{}</p>\n", escaped(&facts(lanes, heading))));
    if lanes.steps.is_empty() {
        page.push_str("<p>There is no step to show.</p>\n");
    } else {
        page.push_str("<div class=\"drawing\">\n");
        page.push_str(&drawing.text);
        page.push_str("</div>\n");
        page.push_str(&legend(lanes, &drawing));
        let bars = "some bars of tasks that hold very many objects are left out";
        for note in
            drawing.bars_left_out.then(|| bars.to_owned()).into_iter().chain(rows::lanes_left_out(lanes, &shown))
        {
            page.push_str(&format!("<p>Note: {}.</p>\n", escaped(&note)));
        }
    }
    if let Some(report) = report {
        page.push_str(&format!("<h2>Report</h2>\n<pre>{}</pre>\n", escaped(&visible_lines(report))));
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn facts(lanes: &Lanes, heading: &Heading) -> String {
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let preemptions = match heading.preemptions.map_or_else(|| lanes.preemptions(), |known| (known, known)) {
        (certain, most) if certain == most => counted(most, "preemption"),
        (certain, most) => format!("{certain} to {}", counted(most, "preemption")),
    };
    let (steps, tasks) = (counted(lanes.steps.len(), "step"), counted(lanes.lanes.len(), "task"));
    format!("{}: {steps}, {tasks}, {preemptions}", visible(&heading.verdict))
}

fn legend(lanes: &Lanes, drawing: &svg::Drawing) -> String {
    let mut text = String::from("<ul class=\"legend\">\n");
    let mut item = |class: &str, what: &str| {
        text.push_str(&format!("<li><span class=\"swatch {class}\"></span>{}</li>\n", escaped(what)));
    };
    for (place, object) in drawing.objects.iter().enumerate().take(LEGEND_MAX) {
        item(&svg::class(place), &lanes.objects[*object]);
    }
    if let Some(more) = drawing.objects.len().checked_sub(LEGEND_MAX).filter(|more| *more > 0) {
        item("none", &format!("and {more} more objects (see the bars’ titles)"));
    }
    if !lanes.waits.is_empty() {
        item("hatched", "hatched: waits for it; plain: holds it");
    }
    if lanes.waits.iter().any(|wait| wait.for_ever.is_some()) {
        item("stuck", "stuck from here on");
    }
    if !lanes.arrows.is_empty() {
        item("cycle", "the wait-for cycle: from a stuck task to where what it waits for was taken");
    }
    if lanes.preemptions().1 > 0 {
        item("preempted", "a preemption: the task before could have gone on (thin: perhaps)");
    }
    text.push_str("</ul>\n");
    text
}

const STYLE: &str = "\
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #8b949e; --paper: #ffffff; --box: #eef1f4; --lane: #d6dbe1;
  --stuck: #b3261e; --cycle: #c2185b; --preempted: #9a6700; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --faint: #858e99; --paper: #15181c; --box: #262b32; --lane: #3a414a;
    --stuck: #ff8a80; --cycle: #ff6fa5; --preempted: #e3b341; }
}
body { color: var(--ink); background: var(--paper); font: 14px/1.5 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; }
pre { font: 12px/1.45 ui-monospace, monospace; overflow-x: auto; }
.drawing { overflow-x: auto; }
svg { display: block; }
svg text { font: 11px ui-monospace, monospace; fill: var(--ink); }
svg .head { font-weight: bold; }
svg .number, svg .gap { fill: var(--faint); }
svg .line { stroke: var(--lane); }
svg .op rect { fill: var(--box); stroke: var(--lane); }
svg .acquire rect { stroke: var(--faint); }
svg .release rect { stroke: var(--faint); stroke-dasharray: 3 2; }
svg .stuck rect { stroke: var(--stuck); stroke-width: 2; stroke-dasharray: none; }
svg .stuck text { fill: var(--stuck); }
svg .hatch { stroke: var(--ink); stroke-width: 2; }
svg .waits rect { opacity: 0.45; }
svg .waits .hatching { fill: url(#hatching); opacity: 1; }
svg .arrow path { fill: none; stroke: var(--cycle); stroke-width: 2; }
svg .tip { fill: var(--cycle); }
svg .preempted { stroke: var(--preempted); stroke-width: 2; }
svg .perhaps { stroke-width: 1; stroke-dasharray: 2 3; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.25rem 1.5rem; }
.swatch { display: inline-block; width: 1.6em; height: 0.8em; margin-right: 0.5em; border: 1px solid var(--lane); }
.swatch.hatched { background: repeating-linear-gradient(45deg, var(--ink) 0 2px, transparent 2px 5px); }
.swatch.stuck { border: 2px solid var(--stuck); }
.swatch.cycle { border: 0; border-top: 2px solid var(--cycle); height: 0.3em; }
.swatch.preempted { border: 0; border-top: 2px solid var(--preempted); height: 0.3em; }
.swatch.none { border: 0; }
";
