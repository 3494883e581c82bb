//! [`svg`]: panels beside each other, each with lines over the same doubling steps, in a logarithmic scale.
//!
//! Invariants: whole numbers only (logarithms too, by squaring), so that the bytes are the same on every machine; a value of 0
//! is drawn as 1; the picture has its own background and can be read without the page around it.
//! Not here: what the numbers mean.

use std::fmt::Write as _;

/// One panel.
pub struct Panel {
    /// Above it.
    pub title: &'static str,
    /// A number of the left scale in words.
    pub label: fn(u64) -> String,
    /// The lines, in the order of the legend.
    pub lines: Vec<Line>,
}

/// One line.
pub struct Line {
    /// In the legend.
    pub name: String,
    /// CSS colour.
    pub color: &'static str,
    /// Whether it is dashed.
    pub dashed: bool,
    /// A value per step.
    pub values: Vec<u64>,
}

const PANEL_WIDTH: i64 = 330;
const PLOT_WIDTH: i64 = 220;
const PLOT_HEIGHT: i64 = 260;
const LEFT: i64 = 78;
const TOP: i64 = 64;
const LEGEND_ROW: i64 = 18;
/// Lines of the left scale are so many doublings apart.
const DOUBLINGS_PER_LINE: u32 = 2;
/// A doubling in fixed point.
const ONE: i64 = 1 << 16;

/// The panels with `steps` (powers of two) below them, called `axis`, one legend for all, and a `note` at the foot.
///
/// # Panics
/// When a line has not one value per step.
pub fn svg(title: &str, axis: &str, steps: &[u64], panels: &[Panel], note: &str) -> String {
    let legend = panels.iter().map(|panel| panel.lines.len()).max().unwrap_or(0) as i64;
    let width = PANEL_WIDTH * panels.len() as i64;
    let height = TOP + PLOT_HEIGHT + 56 + (legend + 2) * LEGEND_ROW;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n"
    );
    for (place, panel) in panels.iter().enumerate() {
        draw(&mut text, panel, place as i64 * PANEL_WIDTH + LEFT, axis, steps);
    }
    let longest = panels.iter().max_by_key(|panel| panel.lines.len());
    for (row, line) in longest.iter().flat_map(|panel| &panel.lines).enumerate() {
        let y = TOP + PLOT_HEIGHT + 60 + row as i64 * LEGEND_ROW;
        let (from, to) = (LEFT, LEFT + 34);
        let stroke = stroke(line);
        let _ = writeln!(text, "<path d=\"M{from} {y}H{to}\" {stroke}/>");
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\">{}</text>", to + 8, y + 4, line.name);
    }
    let _ = writeln!(text, "<text x=\"{LEFT}\" y=\"{}\">{note}</text>\n</svg>", height - 14);
    text
}

fn draw(text: &mut String, panel: &Panel, left: i64, axis: &str, steps: &[u64]) {
    let values = || panel.lines.iter().flat_map(|line| &line.values).map(|value| (*value).max(1));
    let lowest = values().min().unwrap_or(1).ilog2() / DOUBLINGS_PER_LINE * DOUBLINGS_PER_LINE;
    let highest = values().max().unwrap_or(1).ilog2() / DOUBLINGS_PER_LINE * DOUBLINGS_PER_LINE + DOUBLINGS_PER_LINE;
    let bottom = TOP + PLOT_HEIGHT;
    let y = |log2: i64| {
        let above = log2 - i64::from(lowest) * ONE;
        bottom - above * PLOT_HEIGHT / (i64::from(highest - lowest) * ONE)
    };
    let x = |step: usize| left + step as i64 * PLOT_WIDTH / (steps.len() as i64 - 1).max(1);

    let _ = writeln!(text, "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{}</text>", TOP - 14, panel.title);
    for exponent in (lowest..=highest).step_by(DOUBLINGS_PER_LINE as usize) {
        let y = y(i64::from(exponent) * ONE);
        let _ = writeln!(text, "<path d=\"M{left} {y}h{PLOT_WIDTH}\" stroke=\"#ddd\"/>");
        let label = (panel.label)(1 << exponent);
        let _ = writeln!(text, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>", left - 6, y + 4);
    }
    for (step, number) in steps.iter().enumerate() {
        let x = x(step);
        let _ = writeln!(text, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{number}</text>", bottom + 18);
    }
    let middle = left + PLOT_WIDTH / 2;
    let _ = writeln!(text, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{axis}</text>", bottom + 36);
    for line in &panel.lines {
        assert_eq!(line.values.len(), steps.len(), "{}: a value per step", line.name);
        let points: Vec<String> =
            line.values.iter().enumerate().map(|(step, value)| format!("{} {}", x(step), y(log2(*value)))).collect();
        let stroke = stroke(line);
        let _ = writeln!(text, "<path d=\"M{}\" {stroke}/>", points.join("L"));
        if !line.dashed {
            for point in &points {
                let (x, y) = point.split_once(' ').expect("a point has two parts");
                let _ = writeln!(text, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{}\"/>", line.color);
            }
        }
    }
}

fn stroke(line: &Line) -> String {
    let dashes = if line.dashed { " stroke-dasharray=\"5 4\"" } else { "" };
    format!("stroke=\"{}\" stroke-width=\"2\" fill=\"none\"{dashes}", line.color)
}

/// The binary logarithm in fixed point ([`ONE`]); of 0 that of 1.
fn log2(value: u64) -> i64 {
    let value = value.max(1);
    let whole = value.ilog2();
    // The mantissa in 1..2 with 32 bits behind the point; each squaring gives one bit of the logarithm.
    let mut mantissa = if whole >= 32 { value >> (whole - 32) } else { value << (32 - whole) };
    let mut log2 = i64::from(whole) * ONE;
    let mut bit = ONE / 2;
    while bit > 0 {
        mantissa = ((u128::from(mantissa) * u128::from(mantissa)) >> 32) as u64;
        if mantissa >= 1 << 33 {
            mantissa >>= 1;
            log2 += bit;
        }
        bit /= 2;
    }
    log2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_the_last_place() {
        for value in [1_u64, 2, 3, 5, 7, 100, 1000, 65_535, 1 << 40, u64::MAX] {
            let exact = (value as f64).log2() * ONE as f64;
            assert!((log2(value) as f64 - exact).abs() <= 2.0, "{value}: {} against {exact}", log2(value));
        }
        assert_eq!(log2(0), 0);
    }

    #[test]
    fn a_line_that_doubles_is_straight_and_a_higher_one_is_above() {
        let line =
            |values: &[u64]| Line { name: "a".to_owned(), color: "#000", dashed: false, values: values.to_vec() };
        let lines = vec![line(&[4, 8, 16]), line(&[8, 16, 32])];
        let text = svg("t", "n", &[1, 2, 4], &[Panel { title: "p", label: |n| n.to_string(), lines }], "");
        let heights: Vec<i64> = text
            .lines()
            .filter(|line| line.starts_with("<circle"))
            .map(|line| line.split("cy=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(heights[0] - heights[1], heights[1] - heights[2], "{heights:?}");
        assert_eq!(heights[1], heights[3], "8 is where 8 is: {heights:?}");
        assert!(heights[3] < heights[0], "{heights:?}");
    }
}
