//! What was measured, as text.

use super::Measured;
use std::fmt::Write as _;

/// One line per case.
pub fn summary(cases: &[Measured]) -> String {
    let width = cases.iter().map(|case| case.name.len()).max().unwrap_or(0).max(4);
    let mut text = format!(
        "{:width$}  frame ms  floor ms  ratio  (cpu)  frames/s  per camera  found  alloc  kB/frame  peak MB\n",
        "case"
    );
    for case in cases {
        let optional = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |v| format!("{v:.digits$}"));
        let _ = writeln!(
            text,
            "{:width$}  {:8.2}  {:8.2}  {:5.3}  {:5.3}  {:8.1}  {:>10}  {:5.1}  {:>5}  {:>8}  {:7.0}",
            case.name,
            case.frame_ms,
            case.floor_ms,
            case.ratio,
            case.cpu_ratio,
            case.frames_per_sec,
            optional(case.against_one_camera, 3),
            case.faces_found,
            optional(case.allocations_per_frame, 0),
            optional(case.allocated_bytes_per_frame.map(|bytes| bytes * 1e-3), 1),
            case.peak_rss_mb,
        );
    }
    text
}

/// The stages of one case, and how its start went.
pub fn details(case: &Measured) -> String {
    let mut text = format!("\n{} ({} frames in {} rounds)\n", case.name, case.frames, case.rounds);
    for stage in &case.stages {
        let over = stage.ms - stage.floor_ms;
        let floor = if stage.floor_ms > 0.0 { format!("{:8.3}", stage.floor_ms) } else { " ".repeat(8) };
        let _ = writeln!(text, "  {:8} {:8.3} ms  networks alone {floor}  the rest {over:8.3}", stage.name, stage.ms);
    }
    let spent: f64 = case.stages.iter().map(|stage| stage.ms).sum();
    let _ = writeln!(text, "  {:8} {:8.3} ms", "between", case.frame_ms - spent);
    let images = case.images_per_frame.iter().map(|(model, count)| format!("{model} {count:.2}"));
    let _ = writeln!(text, "  images per frame: {}", images.collect::<Vec<_>>().join(", "));
    let steps = case.start.iter().map(|(step, ms)| format!("{step} {ms:.0}"));
    let _ = writeln!(text, "  start {:.0} ms: {}", case.start_ms, steps.collect::<Vec<_>>().join(", "));
    text
}
