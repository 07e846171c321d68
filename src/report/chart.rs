//! Small charts as SVG, which follow the page's colours.

use crate::eval::open_set::DetPoint;
use std::fmt::Write;

/// A stretch of a bar: from and to in seconds, CSS class, what a pointer is told.
pub(super) struct Segment {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) class: &'static str,
    pub(super) title: String,
}

/// Width of a bar's own coordinates; the browser stretches it.
const WIDTH: f64 = 1000.0;

/// One bar over the whole recording.
pub(super) fn bar(segments: &[Segment], total_secs: f64, height: u32) -> String {
    let x = |secs: f64| WIDTH * secs / total_secs.max(1e-9);
    let mut svg =
        format!("<svg class=bar viewBox=\"0 0 {WIDTH} {height}\" preserveAspectRatio=none height={height} role=img>");
    for Segment { from, to, class, title } in segments {
        // What lasted one frame stays visible.
        let width = (x(*to) - x(*from)).max(1.5);
        let _ = write!(
            svg,
            "<rect class={class} x=\"{:.1}\" y=0 width=\"{width:.1}\" height={height}><title>{title}</title></rect>",
            x(*from)
        );
    }
    svg.push_str("</svg>");
    svg
}

/// The axis of the bars.
pub(super) fn axis(total_secs: f64) -> String {
    let step = [0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0]
        .into_iter()
        .find(|step| total_secs / step <= 8.0)
        .unwrap_or(7200.0);
    let mut html = String::from("<div class=axis>");
    let mut at = 0.0;
    while at <= total_secs {
        let left = 100.0 * at / total_secs.max(1e-9);
        let _ = write!(html, "<span style=\"left:{left:.2}%\">{}</span>", clock(at));
        at += step;
    }
    html.push_str("</div>");
    html
}

/// Seconds as people read them.
pub(super) fn clock(secs: f64) -> String {
    match secs {
        secs if secs < 60.0 && secs.fract() != 0.0 => format!("{secs:.1} s"),
        secs if secs < 60.0 => format!("{secs:.0} s"),
        secs => format!("{:.0}:{:02.0}", (secs / 60.0).floor(), (secs % 60.0).floor()),
    }
}

/// How often which time was taken, in equal steps up to the largest shown.
pub(super) fn histogram(millis: &[f32], marks: &[(&str, f64)]) -> String {
    const BINS: usize = 40;
    const HEIGHT: f64 = 150.0;
    let mut sorted = millis.to_vec();
    sorted.sort_by(f32::total_cmp);
    // The few slowest would press all others into one column; they share the last one.
    let Some(end) = sorted.get((sorted.len() * 995 / 1000).min(sorted.len().saturating_sub(1))) else {
        return String::new();
    };
    let end = f64::from(*end).max(1e-3) * 1.05;
    let mut counts = [0_u32; BINS];
    for time in &sorted {
        counts[((f64::from(*time) / end * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    let column = WIDTH / BINS as f64;
    let mut svg = format!("<svg class=chart viewBox=\"0 0 {WIDTH} 200\" role=img aria-label=\"times per frame\">");
    for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = HEIGHT * f64::from(*count) / most;
        let (from, to) = (end * bin as f64 / BINS as f64, end * (bin + 1) as f64 / BINS as f64);
        let more = if bin == BINS - 1 { " and more" } else { "" };
        let _ = write!(
            svg,
            "<rect class=column x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{from:.1} to \
             {to:.1} ms{more}: {count} frames</title></rect>",
            bin as f64 * column + 1.0,
            HEIGHT - height,
            column - 2.0
        );
    }
    for (row, (label, at)) in marks.iter().enumerate() {
        let x = (WIDTH * at / end).min(WIDTH - 2.0);
        let anchor = if x > 0.85 * WIDTH { "end" } else { "start" };
        let _ = write!(
            svg,
            "<path class=mark d=\"M{x:.1} 0V{HEIGHT}\"/><text x=\"{x:.1}\" y=\"{}\" text-anchor={anchor}>{label} \
             {at:.1} ms</text>",
            HEIGHT + 15.0 + 16.0 * row as f64
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Detection error trade-off: false positive against false negative identification rate, both on a
/// logarithmic scale that ends at one in a thousand; no error at all lies there too.
pub(super) fn det(curves: &[(&'static str, &[DetPoint])]) -> String {
    const SIDE: f64 = 300.0;
    const LEFT: f64 = 60.0;
    let along = |rate: f64| SIDE * (rate.clamp(1e-3, 1.0).log10() + 3.0) / 3.0;
    let (x, y) = (|rate: f64| LEFT + along(rate), |rate: f64| SIDE + 10.0 - along(rate));
    let mut svg = String::from("<svg class=\"chart det\" viewBox=\"0 0 420 360\" role=img aria-label=\"DET curve\">");
    for (rate, label) in [(1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %"), (1.0, "100 %")] {
        let (right, bottom) = (x(1.0), y(1e-3));
        let _ = write!(
            svg,
            "<path class=grid d=\"M{:.1} 10V{bottom:.1}M{LEFT} {:.1}H{right:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=middle>{label}</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=end>{label}</text>",
            x(rate),
            y(rate),
            x(rate),
            bottom + 16.0,
            LEFT - 6.0,
            y(rate) + 4.0
        );
    }
    let _ = write!(svg, "<text x=\"{:.1}\" y=\"350\" text-anchor=middle>strangers found (FPIR)</text>", x(0.03));
    let _ = write!(
        svg,
        "<text x=\"14\" y=\"160\" transform=\"rotate(-90 14 160)\" text-anchor=middle>known people not found (FNIR)</text>"
    );
    for (class, points) in curves {
        let line: Vec<String> = points.iter().map(|p| format!("{:.1} {:.1}", x(p.fpir), y(p.fnir))).collect();
        let _ = write!(svg, "<path class=\"line {class}\" d=\"M{}\"/>", line.join("L"));
        for point in *points {
            let DetPoint { threshold, fpir, fnir } = point;
            let _ = write!(
                svg,
                "<circle class={class} cx=\"{:.1}\" cy=\"{:.1}\" r=3><title>cosine {threshold:.2}: {:.1} % of the \
                 strangers found, {:.1} % of the known people not</title></circle>",
                x(*fpir),
                y(*fnir),
                fpir * 100.0,
                fnir * 100.0
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// A matrix of shares: rows are what is true.
pub(super) fn confusion(labels: &[&str], rows: &[Vec<f64>], unit: &str) -> String {
    let mut html = String::from("<div class=scroll><table class=confusion><tr><th></th>");
    for label in labels {
        let _ = write!(html, "<th>{label}</th>");
    }
    html.push_str("</tr>");
    for (label, row) in labels.iter().zip(rows) {
        let sum: f64 = row.iter().sum();
        let _ = write!(html, "<tr><th>{label}</th>");
        for value in row {
            let share = if sum > 0.0 { value / sum } else { 0.0 };
            let shown = if *value > 0.0 { format!("{:.0} %", share * 100.0) } else { String::new() };
            let _ = write!(html, "<td style=\"--share:{share:.3}\" title=\"{value:.1} {unit}\">{shown}</td>");
        }
        html.push_str("</tr>");
    }
    html.push_str("</table></div>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them() {
        assert_eq!([0.0, 2.5, 59.0, 60.0, 3725.0].map(clock), ["0 s", "2.5 s", "59 s", "1:00", "62:05"]);
    }

    #[test]
    fn charts_of_nothing_are_no_trouble() {
        assert_eq!(histogram(&[], &[]), "");
        assert!(axis(0.0).contains("0 s"));
        assert!(bar(&[], 0.0, 10).starts_with("<svg"));
        let flat = histogram(&[0.0, 0.0], &[("half", 0.0)]);
        assert!(flat.contains("2 frames") && !flat.contains("NaN"), "{flat}");
    }
}
