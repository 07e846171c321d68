//! What the demo tells: as JSON, as a table, and as one page with a timeline and pictures.

use super::scene::FrameTruth;
use super::score::{Score, Span, State, Targets, TruePerson};
use crate::replay::{FrameCounts, PersonSummary};
use crate::report::{base64, escaped};
use serde::Serialize;
use std::fmt::Write;

/// The result of a demo.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// True when every target was reached.
    pub passed: bool,
    /// Which targets were not, in words.
    pub missed: Vec<String>,
    /// How well the line did.
    pub score: Score,
    /// What it should reach.
    pub targets: Targets,
    /// Everyone it found.
    pub people: Vec<PersonSummary>,
    /// Frames by what became of them.
    pub frames: FrameCounts,
    /// Length of the scene.
    pub scene_secs: f64,
}

/// An annotated frame for the page.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Seconds from the first frame.
    pub secs: f64,
    /// A JPEG file.
    pub jpeg: Vec<u8>,
}

impl Report {
    /// Judges the score of a scene with this truth.
    pub fn new(truth: &[FrameTruth], score: Score, people: Vec<PersonSummary>, frames: FrameCounts) -> Self {
        let targets = Targets::DEMO;
        let mut missed = score.missed(&targets);
        if frames.processed != truth.len() as u64 {
            missed.push(format!("{} of {} frames were processed", frames.processed, truth.len()));
        }
        let span = truth.last().zip(truth.first()).map_or(0.0, |(last, first)| last.stamp.secs_since(first.stamp));
        let scene_secs = (span * truth.len() as f64 / truth.len().saturating_sub(1).max(1) as f64 * 1e4).round() / 1e4;
        Self { passed: missed.is_empty(), missed, score, targets, people, frames, scene_secs }
    }

    /// The figures, with what is wanted: label, value, target, and whether it was reached (`None`:
    /// nothing is asked of it).
    fn figures(&self) -> Vec<(&'static str, String, String, Option<bool>)> {
        let (score, targets) = (&self.score, &self.targets);
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let to_name = score.secs_to_name.map_or_else(|| "never".to_owned(), |secs| format!("{secs:.1} s"));
        vec![
            (
                "named right, from 1 s after appearing",
                percent(score.named_right),
                format!("at least {}", percent(targets.named_right)),
                Some(score.named_right >= targets.named_right),
            ),
            (
                "wrong names, of all face time",
                percent(score.named_wrong),
                percent(targets.named_wrong),
                Some(score.named_wrong <= targets.named_wrong),
            ),
            (
                "strangers given a name",
                percent(score.stranger_named),
                percent(targets.stranger_named),
                Some(score.stranger_named <= targets.stranger_named),
            ),
            (
                "id changes while in view",
                score.id_switches.to_string(),
                targets.id_switches.to_string(),
                Some(score.id_switches <= targets.id_switches),
            ),
            (
                "same ids after 1 s out of sight",
                yes_no(score.same_id_after_1s),
                "yes".to_owned(),
                Some(score.same_id_after_1s),
            ),
            ("faces found, of the time in view", percent(score.detection_recall), String::new(), None),
            ("faces found where there are none", score.false_faces.to_string(), String::new(), None),
            ("from first sight to the name", to_name, String::new(), None),
        ]
    }

    /// As a table for people.
    pub fn text(&self) -> String {
        let mut text = String::from("People found\n");
        let _ = writeln!(text, "  {:<16}{:>9}{:>8}   face ids", "name", "seconds", "named");
        for person in &self.people {
            let name = if person.name.is_empty() { "(unknown)" } else { &person.name };
            let named =
                if person.name.is_empty() { "-".to_owned() } else { format!("{:.0} %", person.named_share * 100.0) };
            let faces = person.face_ids.join(" ");
            let _ = writeln!(text, "  {name:<16}{:>9.1}{named:>8}   {faces}", person.seconds);
        }
        let _ = writeln!(text, "\n{:<42}{:>10}   wanted", "Score", "");
        for (label, value, target, reached) in self.figures() {
            let verdict = match reached {
                Some(true) => "ok",
                Some(false) => "MISSED",
                None => "",
            };
            let line = format!("  {label:<40}{value:>10}   {target:<16}{verdict}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// As one page that needs no other file.
    pub fn html(&self, snapshots: &[Snapshot]) -> String {
        let mut page = String::from(HEAD);
        let (class, verdict) = if self.passed { ("good", "all targets reached") } else { ("bad", "targets missed") };
        let _ = writeln!(
            page,
            "<h1>rostro demo <span class=\"{class}\">{verdict}</span></h1>\n<p>{:.0} s of a composed scene, {} frames. \
             One person is known from another photograph, the others are strangers.</p>",
            self.scene_secs, self.frames.processed
        );
        page.push_str("<div class=cards>\n");
        for (label, value, target, reached) in self.figures() {
            let class = match reached {
                Some(true) => "good",
                Some(false) => "bad",
                None => "",
            };
            let wanted = if target.is_empty() { String::new() } else { format!("<small>wanted: {target}</small>") };
            let _ = writeln!(page, "<div class=card><b class=\"{class}\">{value}</b>{label}{wanted}</div>");
        }
        page.push_str("</div>\n<h2>Who was in view, and what was said of them</h2>\n");
        page.push_str(&self.timeline());
        page.push_str("<h2>What it looked like</h2>\n<div class=pictures>\n");
        for Snapshot { secs, jpeg } in snapshots {
            let data = base64(jpeg);
            let _ = writeln!(
                page,
                "<figure><img alt=\"frame at {secs:.1} s\" src=\"data:image/jpeg;base64,{data}\"><figcaption>{secs:.1} s</figcaption></figure>"
            );
        }
        page.push_str("</div>\n</html>\n");
        page
    }

    /// One bar per person: what could be said of them at every moment.
    fn timeline(&self) -> String {
        const LEFT: f64 = 150.0;
        const WIDTH: f64 = 900.0;
        const ROW: f64 = 34.0;
        let rows = self.score.people.len() as f64;
        let x = |secs: f64| LEFT + (WIDTH - LEFT - 10.0) * secs / self.scene_secs.max(1e-9);
        let (height, axis) = (ROW * rows + 62.0, ROW * rows + 8.0);
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"timeline\">\n");
        for second in (0..=self.scene_secs as u64).step_by(5) {
            let at = x(second as f64);
            let _ = writeln!(
                svg,
                "<path class=grid d=\"M{at:.1} 4V{axis}\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=middle>{second} s</text>",
                axis + 14.0
            );
        }
        for (row, person) in self.score.people.iter().enumerate() {
            let y = ROW * row as f64 + 8.0;
            let _ = writeln!(svg, "<text x=0 y=\"{}\">{}</text>", y + 16.0, escaped(&label(person)));
            for Span { from, to, state } in &person.spans {
                let (left, width) = (x(*from), x(*to) - x(*from));
                let (class, meaning) = class_of(*state);
                let _ = writeln!(
                    svg,
                    "<rect class={class} x=\"{left:.1}\" y=\"{y}\" width=\"{width:.1}\" height=22><title>{meaning}, {from:.1} to {to:.1} s</title></rect>"
                );
            }
        }
        for (index, state) in
            [State::Right, State::Unnamed, State::Wrong, State::Missed, State::Hidden].iter().enumerate()
        {
            let (class, meaning) = class_of(*state);
            let at = LEFT + 148.0 * index as f64;
            let y = axis + 28.0;
            let _ = writeln!(
                svg,
                "<rect class={class} x=\"{at}\" y=\"{y}\" width=14 height=14 /><text x=\"{}\" y=\"{}\">{meaning}</text>",
                at + 20.0,
                y + 12.0
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn label(person: &TruePerson) -> String {
    person.name.clone().unwrap_or_else(|| person.person.replace('-', " "))
}

const fn class_of(state: State) -> (&'static str, &'static str) {
    match state {
        State::Hidden => ("hidden", "not in view"),
        State::Missed => ("missed", "not found"),
        State::Unnamed => ("unnamed", "no name"),
        State::Right => ("right", "right name"),
        State::Wrong => ("wrong", "wrong name"),
    }
}

const HEAD: &str = "<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content=\"width=device-width, initial-scale=1\">
<title>rostro demo</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2329; --soft: #66717c; --paper: #fbfaf8; --line: #e2dfd9; --card: #fff; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8e6e2; --soft: #9aa4ae; --paper: #16191c; --line: #32383e; --card: #1e2226; }
  }
  body { font: 15px/1.45 system-ui, sans-serif; max-width: 960px; margin: 24px auto; padding: 0 16px; color: var(--ink); background: var(--paper); }
  h1 { font-size: 22px; margin: 0; } h2 { font-size: 15px; margin: 26px 0 8px; } p { color: var(--soft); margin: 4px 0 16px; }
  h1 span { font-size: 14px; font-weight: 600; margin-left: 8px; }
  .good { color: #2b9348; } .bad { color: #d43d3d; }
  .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(200px, 1fr)); gap: 10px; }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; font-size: 13px; color: var(--soft); }
  .card b { display: block; font-size: 22px; font-weight: 650; color: var(--ink); } .card b.good { color: #2b9348; } .card b.bad { color: #d43d3d; }
  .card small { display: block; }
  svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; } svg text { fill: var(--soft); } .grid { stroke: var(--line); }
  .right { fill: #2b9348; } .unnamed { fill: #8fa3b5; } .wrong { fill: #d43d3d; } .missed { fill: #e9a23b; } .hidden { fill: var(--line); }
  .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 10px; }
  figure { margin: 0; } img { width: 100%; border-radius: 6px; display: block; } figcaption { color: var(--soft); font-size: 12px; }
</style>
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::score::Scorer;

    #[test]
    fn a_missed_target_shows_everywhere() {
        let mut score = Scorer::default().finish();
        score.named_right = 0.5;
        score.people.push(TruePerson {
            person: "a".into(),
            name: Some("Ada & <Co>".into()),
            visible_secs: 1.0,
            observed_secs: 1.0,
            right_secs: 0.5,
            wrong_secs: 0.0,
            face_ids: vec![],
            person_ids: vec![],
            absences: vec![],
            spans: vec![Span { from: 0.0, to: 1.0, state: State::Unnamed }],
        });
        let report = Report::new(&[], score, vec![], FrameCounts::default());
        assert!(!report.passed && report.missed.len() == 1);
        assert!(report.text().contains("MISSED") && report.text().contains("50.0 %"));
        let page = report.html(&[Snapshot { secs: 1.0, jpeg: vec![1, 2, 3] }]);
        assert!(page.contains("targets missed") && page.contains("Ada &amp; &lt;Co&gt;") && page.contains("AQID"));
    }

    #[test]
    fn lost_frames_are_a_missed_target() {
        let score = Scorer::default().finish();
        let truth = [FrameTruth { stamp: crate::time::Stamp::default(), blur: 0.0, faces: vec![] }];
        let report = Report::new(&truth, score, vec![], FrameCounts::default());
        assert!(report.missed.iter().any(|missed| missed.contains("0 of 1 frames")));
    }
}
