//! The drawing of a page: swim lanes, time downwards, a row per step.
//!
//! A lane has its boxes on the right and, beside them, a narrow column per interval that is open at the same time: a
//! bar in the object's colour for what is held, hatched for a wait.
//!
//! Invariants: whole numbers only, so that the bytes are the same everywhere; what was left out has no coordinates of
//! its own but those of the row that stands for it.
//! Not here: colours of the page and its texts around the drawing (`html`).

use std::collections::BTreeSet;
use std::fmt::Write;

use dmlab_engine::sched::op::OpClass;

use super::lanes::Lanes;
use super::rows::{Row, row_of};
use super::switches::Switch;
use super::text::{escaped, shortened};

const ROW: usize = 22;
const TOP: usize = 30;
const NUMBERS: usize = 60;
const BAR: usize = 8;
const BOX: usize = 214;
const BETWEEN: usize = 36;
/// Columns of text in a box, by the width of its font.
const LETTERS: usize = 29;
/// Columns for bars in one lane; more are not drawn.
const BARS_MAX: usize = 16;

/// So many objects have a colour of their own; then the colours come again.
const COLORS: usize = 40;

/// The colour of the object with this place in [`Drawing::objects`]. Steps of the golden angle keep neighbours apart.
pub(super) fn color(place: usize) -> String {
    format!("hsl({}, 62%, 48%)", (place * 137 + 205) % 360)
}

/// The classes that have a colour.
pub(super) fn classes(drawing: &Drawing) -> usize {
    drawing.objects.len().min(COLORS)
}

/// The class of the object with this place.
pub(super) fn class(place: usize) -> String {
    format!("o{}", place % COLORS)
}

/// A drawing.
pub(super) struct Drawing {
    pub(super) text: String,
    /// The objects with a bar, in the order of their first use.
    pub(super) objects: Vec<usize>,
    /// Whether a lane would have needed more columns for bars than there are.
    pub(super) bars_left_out: bool,
}

/// Something that lasts.
struct Bar {
    lane: usize,
    rows: (usize, Option<usize>),
    object: Option<usize>,
    waits: bool,
    title: String,
    column: usize,
}

/// Draws the `rows` of the lanes `shown`.
pub(super) fn draw(lanes: &Lanes, rows: &[Row], shown: &[usize]) -> Drawing {
    let mut bars = bars(lanes, rows, shown);
    let columns = placed(&mut bars, lanes.lanes.len());
    let all = bars.len();
    bars.retain(|bar| bar.column < BARS_MAX);
    let bars_left_out = bars.len() < all;

    let mut left = vec![0; lanes.lanes.len()];
    let mut x = NUMBERS;
    for lane in shown {
        left[*lane] = x + columns[*lane].min(BARS_MAX) * BAR + 4;
        x = left[*lane] + BOX + BETWEEN;
    }
    let objects: BTreeSet<usize> = bars.iter().filter_map(|bar| bar.object).collect();
    let objects: Vec<usize> = objects.into_iter().collect();
    let place = Place { lanes, rows, objects: &objects, left, bottom: TOP + rows.len() * ROW };
    let (width, height) = (x, place.bottom + ROW);

    let mut text = format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"steps of the run by task\">\n<defs>\n\
         <pattern id=\"hatching\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern>\n\
         <marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" \
         orient=\"auto\"><path class=\"tip\" d=\"M0 0L8 4L0 8z\"/></marker>\n</defs>\n"
    );
    shown.iter().for_each(|lane| place.head(&mut text, *lane));
    bars.iter().for_each(|bar| place.bar(&mut text, bar, columns[bar.lane].min(BARS_MAX)));
    for (index, row) in rows.iter().enumerate() {
        match row {
            Row::Step(step) => place.step(&mut text, index, *step),
            Row::Gap(_, _, words) => {
                let (x, y) = (NUMBERS + 4, place.middle(index) + 4);
                line(&mut text, &format!("<text class=\"gap\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(words)));
            }
        }
    }
    place.arrows(&mut text);
    text.push_str("</svg>\n");
    Drawing { text, objects, bars_left_out }
}

fn line(text: &mut String, what: &str) {
    text.push_str(what);
    text.push('\n');
}

/// Everything that lasts from one row to another, in order of its begin.
fn bars(lanes: &Lanes, rows: &[Row], shown: &[usize]) -> Vec<Bar> {
    let is_shown = |lane: usize| shown.binary_search(&lane).is_ok();
    let in_rows = |from: usize, to: Option<usize>| (row_of(rows, from), to.map(|to| row_of(rows, to)));
    let mut bars = Vec::new();
    for hold in lanes.holds.iter().filter(|hold| is_shown(hold.lane)) {
        let (who, what) = (&lanes.lanes[hold.lane].name, &lanes.objects[hold.object]);
        let mut title = format!("{who} holds {what}: from step {}", hold.from);
        match (hold.to, hold.given_back_by) {
            (None, _) => title.push_str(", never given back"),
            (Some(to), None) => title.push_str(&format!(" to step {to}")),
            (Some(to), Some(by)) => {
                title.push_str(&format!(" to step {to}, given back by {}", lanes.lanes[by].name));
            }
        }
        let (rows, object) = (in_rows(hold.from, hold.to), Some(hold.object));
        bars.push(Bar { lane: hold.lane, rows, object, waits: false, title, column: 0 });
    }
    for wait in lanes.waits.iter().filter(|wait| is_shown(wait.lane)) {
        let who = &lanes.lanes[wait.lane].name;
        let what = wait.object.map_or("something", |object| &lanes.objects[object]);
        let title = match (&wait.for_ever, wait.to) {
            (Some(text), _) => format!("{who} {text}"),
            (None, Some(to)) => format!("{who} waits for {what}: from step {} to step {to}", wait.from),
            (None, None) => format!("{who} waits for {what}: from step {} to the end", wait.from),
        };
        let rows = in_rows(wait.from, wait.to);
        bars.push(Bar { lane: wait.lane, rows, object: wait.object, waits: true, title, column: 0 });
    }
    // What begins and ends in a row that stands for many steps has no length to draw.
    let is_in_gap = |bar: &Bar| bar.rows.1 == Some(bar.rows.0) && matches!(rows[bar.rows.0], Row::Gap(..));
    bars.retain(|bar| !is_in_gap(bar));
    bars.sort_by_key(|bar| bar.rows.0);
    bars
}

/// Gives each bar the first column of its lane that is free, and says how many each lane needs.
fn placed(bars: &mut [Bar], lanes: usize) -> Vec<usize> {
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); lanes];
    for bar in bars {
        let ends = &mut ends[bar.lane];
        let end = bar.rows.1.unwrap_or(usize::MAX);
        match ends.iter().position(|end| *end <= bar.rows.0) {
            Some(free) => {
                bar.column = free;
                ends[free] = end;
            }
            None => {
                bar.column = ends.len();
                ends.push(end);
            }
        }
    }
    ends.iter().map(Vec::len).collect()
}

/// Where things are.
struct Place<'a> {
    lanes: &'a Lanes,
    rows: &'a [Row],
    objects: &'a [usize],
    /// Where the boxes of each lane begin.
    left: Vec<usize>,
    bottom: usize,
}

impl Place<'_> {
    fn middle(&self, row: usize) -> usize {
        TOP + row * ROW + ROW / 2
    }

    fn head(&self, text: &mut String, lane: usize) {
        let (x, name) = (self.left[lane], &self.lanes.lanes[lane].name);
        let (middle, bottom) = (x + BOX / 2, self.bottom);
        let short = escaped(&shortened(name, LETTERS));
        let name = escaped(name);
        line(text, &format!("<line class=\"line\" x1=\"{middle}\" y1=\"{TOP}\" x2=\"{middle}\" y2=\"{bottom}\"/>"));
        line(text, &format!("<text class=\"head\" x=\"{x}\" y=\"18\"><title>{name}</title>{short}</text>"));
    }

    fn bar(&self, text: &mut String, bar: &Bar, columns: usize) {
        let x = self.left[bar.lane] - 4 - (columns - bar.column) * BAR;
        let y = self.middle(bar.rows.0);
        let end = bar.rows.1.map_or(self.bottom, |row| self.middle(row));
        let (width, height) = (BAR - 2, (end - y).max(4));
        let kind = if bar.waits { "waits" } else { "holds" };
        let place = bar.object.and_then(|object| self.objects.binary_search(&object).ok());
        let color = place.map_or_else(|| "none".to_owned(), class);
        let shape = format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"");
        let hatching = if bar.waits { format!("<rect class=\"hatching\" {shape}/>") } else { String::new() };
        let title = escaped(&bar.title);
        line(
            text,
            &format!("<g class=\"{kind}\"><title>{title}</title><rect class=\"{color}\" {shape}/>{hatching}</g>"),
        );
    }

    fn step(&self, text: &mut String, row: usize, number: usize) {
        let step = &self.lanes.steps[number];
        let (x, y) = (self.left[step.lane], TOP + row * ROW);
        self.switch(text, number, y);
        let words = self.lanes.words(number);
        let mut title = format!("step {number}: {}: {words}", self.lanes.lanes[step.lane].name);
        if step.arg != 0 {
            let _ = write!(title, " (argument {})", step.arg);
        }
        let mut kind = match step.op.class() {
            OpClass::Acquire => "acquire",
            OpClass::Release => "release",
            OpClass::Access => "access",
            OpClass::Local => "local",
        }
        .to_owned();
        if let Some(wait) = self.lanes.stuck(step.lane).filter(|wait| wait.from == number) {
            kind.push_str(" stuck");
            let _ = write!(title, ": stuck: {}", wait.for_ever.as_deref().unwrap_or_default());
        }
        let base = y + ROW / 2 + 4;
        line(text, &format!("<text class=\"number\" x=\"8\" y=\"{base}\">{number}</text>"));
        line(
            text,
            &format!(
                "<g class=\"op {kind}\"><title>{}</title><rect x=\"{x}\" y=\"{}\" width=\"{BOX}\" height=\"{}\" \
                 rx=\"3\"/><text x=\"{}\" y=\"{base}\">{}</text></g>",
                escaped(&title),
                y + 2,
                ROW - 4,
                x + 6,
                escaped(&shortened(&words, LETTERS)),
            ),
        );
    }

    /// A line from the task that was left to the one that went on instead.
    fn switch(&self, text: &mut String, number: usize, y: usize) {
        let class = match self.lanes.steps[number].switch {
            Switch::None | Switch::Forced => return,
            Switch::Preemption => "preempted",
            Switch::Unclear => "preempted perhaps",
        };
        let center = |lane: usize| self.left[lane] + BOX / 2;
        let before = self.lanes.steps[number - 1].lane;
        // A lane without a place has all its steps among those left out.
        if self.left[before] == 0 {
            return;
        }
        let (from, to) = (center(before), center(self.lanes.steps[number].lane));
        line(text, &format!("<line class=\"{class}\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>"));
    }

    fn arrows(&self, text: &mut String) {
        for arrow in &self.lanes.arrows {
            let lane = |step: usize| self.left[self.lanes.steps[step].lane];
            let y = |step: usize| self.middle(row_of(self.rows, step));
            let (from, to) = ((lane(arrow.from), y(arrow.from)), (lane(arrow.to), y(arrow.to)));
            let path = if from.0 == to.0 {
                // Around on the right of its own lane.
                let (x, out) = (from.0 + BOX, from.0 + BOX + BETWEEN - 8);
                format!("M{x} {}C{out} {} {out} {} {x} {}", from.1, from.1, to.1, to.1)
            } else {
                let (start, end) = if from.0 < to.0 { (from.0 + BOX, to.0) } else { (from.0, to.0 + BOX) };
                let between = start.midpoint(end);
                format!("M{start} {}C{between} {} {between} {} {end} {}", from.1, from.1, to.1, to.1)
            };
            let title = escaped(&arrow.text);
            let path = format!("<path d=\"{path}\" marker-end=\"url(#tip)\"/>");
            line(text, &format!("<g class=\"arrow\"><title>{title}</title>{path}</g>"));
        }
    }
}
