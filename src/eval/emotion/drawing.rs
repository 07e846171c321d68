//! The confusion matrix for people.

use super::EmotionEval;
use std::fmt::Write;

/// The matrix as a table: truth in rows, readings in columns, recall at the end.
pub fn confusion_text(eval: &EmotionEval) -> String {
    let short = |label: &str| label.chars().take(7).collect::<String>();
    let mut text = format!("{:<12}", "shown\\read");
    for label in &eval.labels {
        let _ = write!(text, "{:>8}", short(label));
    }
    let _ = writeln!(text, "{:>9}", "recall");
    for ((label, row), class) in eval.labels.iter().zip(&eval.confusion).zip(&eval.per_class) {
        let _ = write!(text, "{label:<12}");
        for count in row {
            let _ = write!(text, "{count:>8}");
        }
        let recall = class.recall.share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let _ = writeln!(text, "{recall:>9}");
    }
    text
}

const CELL: usize = 64;
const LEFT: usize = 100;
const TOP: usize = 60;

/// The matrix as a picture: the darker a cell, the larger its share of the row.
pub fn confusion_svg(eval: &EmotionEval) -> String {
    let side = eval.labels.len() * CELL;
    let (width, height) = (LEFT + side + 10, TOP + side + 10);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"18\">read as (rows: shown), n = {}, accuracy {:.1} %</text>\n",
        eval.n,
        eval.accuracy * 100.0
    );
    for (index, label) in eval.labels.iter().enumerate() {
        let middle = index * CELL + CELL / 2;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" font-size=\"11\">{label}</text>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>",
            LEFT + middle,
            TOP - 8,
            LEFT - 8,
            TOP + middle + 4
        );
    }
    for (y, row) in eval.confusion.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (x, count) in row.iter().enumerate() {
            let share = *count as f64 / total.max(1) as f64;
            let shade = (255.0 - 200.0 * share).round() as u8;
            let ink = if share > 0.6 { "white" } else { "black" };
            let (left, top) = (LEFT + x * CELL, TOP + y * CELL);
            let _ = writeln!(
                svg,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"rgb({shade},{shade},255)\" stroke=\"#ddd\"/>\n\
                 <text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{ink}\">{count}</text>",
                left + CELL / 2,
                top + CELL / 2 + 4
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
