//! [`table`]: a trace as a text table with one column per task.
//!
//! Invariants: without colour the text holds no escape sequence; with colour it is the same text with escapes around
//! marks and waits; with a width, texts are shortened and the table keeps within it as far as
//! six columns per task allow; at most about [`ROWS_MAX`] steps are shown, and a row says what is not.
//! Not here: what the steps mean (`lanes`), whether the terminal is wide enough (the command).

use tabled::builder::Builder;
use tabled::settings::object::Cell;
use tabled::settings::span::ColumnSpan;
use tabled::settings::style::HorizontalLine;
use tabled::settings::{Color, Modify, Style};

use dmlab_results::TableOptions;

use super::intervals::Wait;
use super::lanes::Lanes;
use super::rows::{self, Row};
use super::switches::Switch;
use super::text::{shortened, width, wrapped};

/// More steps than this are not shown.
pub const ROWS_MAX: usize = 400;

/// A column for a task is not narrower than this, whatever the terminal.
const LANE_WIDTH_LEAST: usize = 6;

/// From this width on a column can be read.
const LANE_WIDTH_READABLE: usize = 20;

/// What the last row says is wrapped, and makes no column wider than this.
const WAIT_WIDTH: usize = 30;

/// Where a task is stuck.
const STUCK: char = '✗';
/// Where the task before could have gone on.
const PREEMPTION: char = '!';
/// The same, perhaps.
const UNCLEAR: char = '?';

/// The width from which on a table of these lanes can be read.
pub fn readable_width(lanes: &Lanes) -> usize {
    let shown = rows::lanes_in(lanes, &rows::rows(lanes, ROWS_MAX)).len();
    number_width(lanes) + 4 + shown * (LANE_WIDTH_READABLE + 3)
}

/// The width of the column of step numbers, with the mark.
fn number_width(lanes: &Lanes) -> usize {
    (lanes.steps.len().saturating_sub(1).to_string().len() + 2).max("step".len())
}

/// The table of `lanes`, with a newline at the end.
pub fn table(lanes: &Lanes, options: TableOptions) -> String {
    if lanes.steps.is_empty() {
        return "no steps\n".to_owned();
    }
    let rows = rows::rows(lanes, ROWS_MAX);
    let shown = rows::lanes_in(lanes, &rows);
    let column_of = |lane: usize| shown.iter().position(|other| *other == lane).map(|column| column + 1);
    let widths = widths(lanes, &rows, &shown, options.width);
    let inner = widths.iter().sum::<usize>() + 3 * (widths.len() - 1);

    let mut builder = Builder::with_capacity(rows.len() + 2, shown.len() + 1);
    let names = shown.iter().zip(&widths).map(|(lane, most)| shortened(&lanes.lanes[*lane].name, *most));
    builder.push_record(["step".to_owned()].into_iter().chain(names));
    let (mut gaps, mut colors) = (Vec::new(), Vec::new());
    for (index, row) in rows.iter().enumerate() {
        let mut cells = vec![String::new(); shown.len() + 1];
        match row {
            Row::Gap(_, _, text) => {
                cells[1] = shortened(text, inner);
                gaps.push(index + 1);
            }
            Row::Step(step) => {
                let lane = lanes.steps[*step].lane;
                let Some(column) = column_of(lane) else { continue };
                cells[0] = numbered(lanes, *step);
                if cells[0].ends_with([PREEMPTION, UNCLEAR]) {
                    colors.push((index + 1, 0, Color::FG_YELLOW));
                }
                let mut words = lanes.words(*step);
                if stuck_at(lanes, *step).is_some() {
                    words = format!("{STUCK} {words}");
                    colors.push((index + 1, column, Color::FG_RED));
                }
                cells[column] = shortened(&words, widths[column - 1]);
            }
        }
        builder.push_record(cells);
    }
    let waits: Vec<Option<&Wait>> = shown.iter().map(|lane| lanes.stuck(*lane)).collect();
    let any_wait = waits.iter().any(Option::is_some);
    if any_wait {
        let text = |(wait, width): (&Option<&Wait>, &usize)| {
            let text = wait.and_then(|wait| wait.for_ever.as_deref()).unwrap_or_default();
            wrapped(text, *width).join("\n")
        };
        builder.push_record(["end".to_owned()].into_iter().chain(waits.iter().zip(&widths).map(text)));
        let stuck = waits.iter().enumerate().filter(|(_, wait)| wait.is_some());
        colors.extend(stuck.map(|(at, _)| (rows.len() + 1, at + 1, Color::FG_RED)));
    }

    let mut drawn = builder.build();
    let line = HorizontalLine::inherit(Style::modern());
    let last = if any_wait { rows.len() + 1 } else { 1 };
    drawn.with(Style::sharp().horizontals([(1, line), (last, line)]));
    for row in gaps {
        drawn.with(Modify::new(Cell::new(row, 1)).with(ColumnSpan::new(shown.len() as isize)));
    }
    if options.color {
        for (row, column, color) in colors {
            drawn.with(Modify::new(Cell::new(row, column)).with(color));
        }
    }
    let mut text = drawn.to_string();
    text.push('\n');
    for line in notes(lanes, &rows, &shown) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The step's number, and a mark where the task before could have gone on.
fn numbered(lanes: &Lanes, step: usize) -> String {
    let digits = number_width(lanes) - 2;
    match lanes.steps[step].switch {
        Switch::Preemption => format!("{step:>digits$} {PREEMPTION}"),
        Switch::Unclear => format!("{step:>digits$} {UNCLEAR}"),
        Switch::None | Switch::Forced => format!("{step:>digits$}"),
    }
}

fn stuck_at(lanes: &Lanes, step: usize) -> Option<&Wait> {
    lanes.stuck(lanes.steps[step].lane).filter(|wait| wait.from == step)
}

/// Widths of the tasks' columns: what their texts need, the widest narrowed until the table fits.
fn widths(lanes: &Lanes, rows: &[Row], shown: &[usize], most: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = shown.iter().map(|lane| width(&lanes.lanes[*lane].name)).collect();
    for row in rows {
        let Row::Step(step) = row else { continue };
        let Some(at) = shown.iter().position(|lane| *lane == lanes.steps[*step].lane) else { continue };
        let mark = if stuck_at(lanes, *step).is_some() { 2 } else { 0 };
        widths[at] = widths[at].max(width(&lanes.words(*step)) + mark);
    }
    for (width, lane) in widths.iter_mut().zip(shown) {
        *width = (*width).max(if lanes.stuck(*lane).is_some() { WAIT_WIDTH } else { LANE_WIDTH_LEAST });
    }
    let Some(most) = most else { return widths };
    // A border and two spaces for every column, and the last border.
    let room = most.saturating_sub(number_width(lanes) + 4 + 3 * shown.len());
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().filter(|width| **width > LANE_WIDTH_LEAST).max() else { break };
        *widest -= 1;
    }
    widths
}

/// What the marks mean, as far as they occur, and what is not shown.
fn notes(lanes: &Lanes, rows: &[Row], shown: &[usize]) -> Vec<String> {
    let mut notes = Vec::new();
    let occurs =
        |wanted: Switch| rows.iter().any(|row| matches!(row, Row::Step(step) if lanes.steps[*step].switch == wanted));
    if occurs(Switch::Preemption) {
        notes.push(format!("{PREEMPTION} a preemption: the task of the step before could have gone on"));
    }
    if occurs(Switch::Unclear) {
        notes
            .push(format!("{UNCLEAR} perhaps a preemption: the steps do not tell whether the task before had to wait"));
    }
    if shown.iter().any(|lane| lanes.stuck(*lane).is_some()) {
        notes.push(format!("{STUCK} the task is stuck from this step on"));
    }
    notes.extend(rows::lanes_left_out(lanes, shown));
    notes
}

#[cfg(test)]
mod tests {
    use super::super::testing::{lanes, opposite};
    use super::*;

    fn plain(text: &str) -> String {
        ["\u{1b}[31m", "\u{1b}[33m", "\u{1b}[39m"].iter().fold(text.to_owned(), |text, escape| text.replace(escape, ""))
    }

    #[test]
    fn the_table_of_two_locks_taken_in_opposite_order() {
        let golden = "\
┌──────┬──────┬───────────────────────────────┬───────────────────────────┐
│ step │ main │ one                           │ two                       │
├──────┼──────┼───────────────────────────────┼───────────────────────────┤
│      │ … 3 steps of main: set-up …                                      │
│  3   │      │ mutex_lock a                  │                           │
│  4 ! │      │                               │ mutex_lock b              │
│  5 ! │      │ ✗ mutex_lock b                │                           │
│  6   │      │                               │ ✗ mutex_lock a            │
├──────┼──────┼───────────────────────────────┼───────────────────────────┤
│ end  │      │ waits for lock b, held by two │ waits for lock a, held by │
│      │      │ (owner)                       │ one (owner)               │
└──────┴──────┴───────────────────────────────┴───────────────────────────┘
! a preemption: the task of the step before could have gone on
✗ the task is stuck from this step on
";
        assert_eq!(table(&opposite(), TableOptions { color: false, width: Some(80) }), golden);
    }

    #[test]
    fn a_width_is_kept_as_far_as_it_can_be() {
        let least = 3 * LANE_WIDTH_LEAST + 17;
        for most in 0..200 {
            let text = table(&opposite(), TableOptions { color: false, width: Some(most) });
            let rows = text.lines().filter(|line| line.starts_with(['│', '├', '┌', '└']));
            let widths: Vec<usize> = rows.map(width).collect();
            assert!(widths.iter().all(|width| *width <= most.max(least)), "{most}:\n{text}");
            assert!(widths.iter().all(|width| *width == widths[0]), "{most}:\n{text}");
        }
        assert_eq!(readable_width(&opposite()), 77);
    }

    #[test]
    fn colour_is_on_marks_and_waits_only_and_moves_nothing() {
        let text = table(&opposite(), TableOptions { color: true, width: Some(100) });
        assert!(text.contains('\u{1b}'));
        assert_eq!(plain(&text), table(&opposite(), TableOptions { color: false, width: Some(100) }));
    }

    #[test]
    fn wide_and_hidden_characters_of_names_break_no_column() {
        let mut steps = super::super::testing::steps("m mutex_lock a\nx mutex_lock b\nm mutex_unlock a");
        steps[0].object = "🦀<&\"'\u{1b}[31m\n".to_owned();
        steps[1].name = "größe\u{202e}\t🦀🦀".to_owned();
        let lanes = Lanes::of(&steps, None);
        for most in [30, 40, 60, 80, 120] {
            let text = table(&lanes, TableOptions { color: false, width: Some(most) });
            assert!(!text.contains(['\u{1b}', '\u{202e}', '\t']), "{text}");
            let widths: Vec<usize> = text.lines().filter(|line| !line.starts_with('!')).map(width).collect();
            assert!(widths.iter().all(|width| *width == widths[0]), "{most}:\n{text}");
        }
    }

    #[test]
    fn no_trace_is_too_long_or_too_short() {
        assert_eq!(table(&Lanes::default(), TableOptions::default()), "no steps\n");
        let text = "m cond_resched\nm cond_resched\nx io_write d\n".repeat(3334);
        let lanes = lanes(&text, Vec::new());
        let drawn = table(&lanes, TableOptions { color: false, width: Some(80) });
        assert!(drawn.lines().count() < ROWS_MAX + 20);
        assert!(drawn.contains("… 9602 steps left out …"), "{drawn}");
    }
}
