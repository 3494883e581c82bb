//! [`table`]: the table that a terminal shows at the end of a run.
//!
//! Invariants: without colour the text holds no escape sequence at all; with colour it is the same text with escapes
//! around verdicts and results only, so that columns stay aligned and logs can be compared after stripping them; with
//! a width, cells are folded and no text is lost.
//! Not here: whether the terminal wants colour and how wide it is (harness), what the cells say (`rows`), where texts
//! are broken (`layout`).

use tabled::builder::Builder;
use tabled::settings::formatting::AlignmentStrategy;
use tabled::settings::object::{Columns, Object, Rows};
use tabled::settings::{Alignment, Color, Modify, Padding, Style};

use crate::rows::{Grid, Judgement};
use crate::{Record, layout};

/// How to draw the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// Green and red on verdicts and results.
    pub color: bool,
    /// The width to keep within, in columns of the terminal; `None` for as wide as it gets (files, pipes). Below what
    /// a border and one letter per column need, the table is as narrow as it can be.
    pub width: Option<usize>,
}

/// The table of a record, a row per cell, with a newline at the end.
pub fn table(record: &Record, options: TableOptions) -> String {
    let mut grid = Grid::of(record);
    let mut titles: Vec<String> = grid.columns.iter().map(|column| column.title().to_owned()).collect();
    let padding = match options.width {
        Some(width) => fold(&mut titles, &mut grid, width),
        None => 1,
    };
    let mut builder = Builder::with_capacity(grid.rows.len() + 1, grid.columns.len());
    builder.push_record(titles);
    for (texts, _) in &grid.rows {
        builder.push_record(texts);
    }
    let mut drawn = builder.build();
    drawn.with(Padding::new(padding, padding, 0, 0));
    if grid.rows.iter().any(|(texts, _)| texts.iter().any(|text| text.contains('\n'))) {
        // The same strokes with a line between the rows, since rows have several lines now.
        drawn.with(Style::modern());
    } else {
        drawn.with(Style::sharp());
    }
    for (index, column) in grid.columns.iter().enumerate() {
        if column.is_right_aligned() {
            drawn.with(Modify::new(Columns::one(index)).with(Alignment::right()).with(AlignmentStrategy::PerLine));
        }
    }
    if options.color {
        // As a setting and not as text in the cells: what is measured and wrapped stays free of escapes.
        for (row, (_, judgement)) in grid.rows.iter().enumerate() {
            let Some(color) = color_of(*judgement) else { continue };
            for (index, _) in grid.columns.iter().enumerate().filter(|(_, column)| column.is_judgement()) {
                let place = Rows::one(row + 1).intersect(Columns::one(index));
                drawn.with(Modify::new(place).with(color.clone()));
            }
        }
    }
    let mut text = drawn.to_string();
    text.push('\n');
    text
}

/// Breaks the texts such that the table fits into `width`, and returns the padding to draw it with. What is given up,
/// in this order: the width of the widest columns, the padding, the wholeness of words, the wish itself.
fn fold(titles: &mut [String], grid: &mut Grid, width: usize) -> usize {
    let columns = titles.len();
    let of_columns = |measure: fn(&str) -> usize| -> Vec<usize> {
        let widest = |column: usize| {
            grid.rows.iter().map(|(texts, _)| &texts[column]).chain([&titles[column]]).map(|text| measure(text)).max()
        };
        (0..columns).map(|column| widest(column).unwrap_or(0).max(1)).collect()
    };
    let (natural, least) = (of_columns(layout::width), of_columns(layout::least_width));
    let room = |padding: usize| width.saturating_sub(columns + 1 + 2 * padding * columns);
    let (widths, padding) = layout::narrowed(&natural, &least, room(1))
        .map(|widths| (widths, 1))
        .or_else(|| Some((layout::narrowed(&natural, &least, room(0))?, 0)))
        .or_else(|| Some((layout::narrowed(&least, &vec![1; columns], room(0))?, 0)))
        .unwrap_or_else(|| (vec![1; columns], 0));
    let rows = grid.rows.iter_mut().map(|(texts, _)| texts.as_mut_slice());
    for row in rows.chain([titles]) {
        for (text, &width) in row.iter_mut().zip(&widths) {
            *text = layout::wrapped(text, width);
        }
    }
    padding
}

/// Expected deadlocks are green: the colour is about the expectation.
fn color_of(judgement: Judgement) -> Option<Color> {
    match judgement {
        Judgement::Met => Some(Color::FG_GREEN),
        Judgement::NotMet => Some(Color::FG_RED),
        Judgement::Skipped => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const GREEN: &str = "\x1b[32m";
    const RED: &str = "\x1b[31m";
    const DEFAULT: &str = "\x1b[39m";

    fn plain(text: &str) -> String {
        [GREEN, RED, DEFAULT].iter().fold(text.to_owned(), |text, escape| text.replace(escape, ""))
    }

    #[test]
    fn the_table_without_colour() {
        let golden = include_str!("../golden/table.txt");
        assert_eq!(table(&testing::record(), TableOptions::default()), golden);
    }

    #[test]
    fn the_table_with_colour() {
        let golden = include_str!("../golden/table-color.txt");
        assert_eq!(table(&testing::record(), TableOptions { color: true, width: None }), golden);
    }

    #[test]
    fn colour_is_on_verdicts_and_results_only_and_moves_nothing() {
        let text = table(&testing::record(), TableOptions { color: true, width: None });
        let colored: Vec<_> = text.lines().filter(|line| line.contains('\x1b')).collect();
        assert_eq!(colored.len(), 3, "{text}");
        for (line, color, words) in [(colored[0], GREEN, ["pass", "ok"]), (colored[1], RED, ["deadlock", "NOT MET"])] {
            let painted: Vec<_> = line.split(color).skip(1).map(|part| part.split(DEFAULT).next().unwrap()).collect();
            assert_eq!(painted.iter().map(|text| text.trim()).collect::<Vec<_>>(), words, "{line:?}");
        }
        assert_eq!(plain(&text), table(&testing::record(), TableOptions::default()));
    }

    #[test]
    fn a_width_is_kept_and_no_text_is_lost() {
        let record = testing::record();
        for color in [false, true] {
            for width in [40, 60, 80, 100, 120, 140] {
                let text = plain(&table(&record, TableOptions { color, width: Some(width) }));
                assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
                let letters = |text: &str| {
                    let mut letters: Vec<_> = text.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
                    letters.sort_unstable();
                    letters
                };
                assert_eq!(letters(&text), letters(&table(&record, TableOptions::default())), "{width}");
            }
        }
    }

    #[test]
    fn a_wide_terminal_does_not_stretch_the_table() {
        let options = TableOptions { color: false, width: Some(1000) };
        assert_eq!(table(&testing::record(), options), table(&testing::record(), TableOptions::default()));
    }

    #[test]
    fn the_wrapped_table() {
        let golden = include_str!("../golden/table-120.txt");
        assert_eq!(table(&testing::record(), TableOptions { color: false, width: Some(120) }), golden);
    }

    #[test]
    fn no_width_is_too_small_and_no_record_too_empty_to_draw() {
        let mut record = testing::record();
        for width in 0..60 {
            assert!(table(&record, TableOptions { color: true, width: Some(width) }).contains('│'));
        }
        record.cells.clear();
        let text = table(&record, TableOptions { color: true, width: None });
        assert!(text.contains("scenario") && !text.contains('\x1b'), "{text}");
    }
}
