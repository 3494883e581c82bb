//! [`markdown`]: the table as GitHub Markdown, to paste into a pull request or a mail.
//!
//! Invariants: the same rows and columns as the terminal table; whatever a cell says, it stays one cell; columns are
//! padded, so that the source reads as a table too.
//! Not here: what the cells say (`rows`).

use crate::rows::Grid;
use crate::{Record, summary};

/// The table of a record and its summary, with a newline at the end.
pub fn markdown(record: &Record) -> String {
    let grid = Grid::of(record);
    let titles: Vec<String> = grid.columns.iter().map(|column| column.title().to_owned()).collect();
    let rows: Vec<Vec<String>> =
        grid.rows.iter().map(|(texts, _)| texts.iter().map(|text| escaped(text)).collect()).collect();
    let widths: Vec<usize> = (0..titles.len())
        .map(|column| rows.iter().chain([&titles]).map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();

    let mut text = String::new();
    let mut line = |cells: Vec<String>| {
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    };
    let padded = |row: &[String]| -> Vec<String> {
        row.iter()
            .enumerate()
            .map(|(index, text)| {
                let width = widths[index];
                if grid.columns[index].is_right_aligned() {
                    format!("{text:>width$}")
                } else {
                    format!("{text:<width$}")
                }
            })
            .collect()
    };
    line(padded(&titles));
    line(
        grid.columns
            .iter()
            .zip(&widths)
            .map(|(column, width)| {
                let dashes = "-".repeat(width - 1);
                if column.is_right_aligned() { format!("{dashes}:") } else { format!(":{dashes}") }
            })
            .collect(),
    );
    rows.iter().for_each(|row| line(padded(row)));
    text.push('\n');
    text.push_str(&escaped(&summary(record)));
    text.push('\n');
    text
}

/// Escapes what GitHub would take for markup. Underscores inside of words, of which variants are full, are not markup
/// there, and escaping them would make the source unreadable.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Brackets are only markup when they make a link, and the names of cells are full of them.
            '(' if escaped.ends_with(']') => escaped.push_str("\\("),
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            // A mention would send a mail to a stranger.
            '@' => escaped.push_str("&#64;"),
            '\n' | '\r' => escaped.push(' '),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_markdown_table() {
        assert_eq!(markdown(&testing::record()), include_str!("../golden/table.md"));
    }

    #[test]
    fn no_text_breaks_out_of_its_cell() {
        let mut record = testing::record();
        record.cells.truncate(1);
        let bars = |text: &str| {
            let row = text.lines().nth(2).unwrap().to_owned();
            row.replace("\\|", "").matches('|').count()
        };
        let before = bars(&markdown(&record));
        record.cells[0].scenario = "a | b\n| <b> @someone `x` *y* & [z](u)".to_owned();
        let text = markdown(&record);
        assert_eq!(bars(&text), before, "{text}");
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains(r"a \| b \| &lt;b> &#64;someone \`x\` \*y\* &amp; [z]\(u)"), "{text}");
    }

    #[test]
    fn a_record_without_cells_is_still_a_table() {
        let mut record = testing::record();
        record.cells.clear();
        assert!(markdown(&record).starts_with("| scenario | variant |"));
    }
}
