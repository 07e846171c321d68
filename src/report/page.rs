//! The page itself.

use super::chart::{self, Segment, clock};
use super::collector::{Story, Stretch, Track};
use super::timing::{Timing, TimingSummary};
use crate::emotion::Emotion;
use crate::eval::recording::{PersonScore, RecordingScore, State};
use crate::people::IdentityState;
use std::fmt::Write;

/// Tracks shown; further ones are only counted.
const MOST_TRACKS: usize = 60;

/// What stands above and below the figures.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What was replayed.
    pub recording: String,
    /// Label and value, for the cards at the top.
    pub figures: Vec<(String, String)>,
    /// Sentences about what went wrong with the input.
    pub losses: Vec<String>,
    /// Label and value: models, provider, version.
    pub made_with: Vec<(String, String)>,
    /// The parameters, as a parameter file.
    pub parameters: String,
}

/// A frame to show.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What is to be seen.
    pub caption: String,
    /// A JPEG file.
    pub jpeg: Vec<u8>,
}

/// Writes the page. `score`: when truth was given; `pictures`: of its worst moments, or of the recording.
pub fn page(
    facts: &Facts,
    story: &Story,
    timing: &Timing,
    score: Option<&RecordingScore>,
    pictures: &[Picture],
) -> String {
    let mut html = String::from(HEAD);
    let _ = writeln!(html, "<header><h1>{}</h1><p>{}</p></header>", escaped(&facts.recording), clock(story.secs));
    let mut figures = facts.figures.clone();
    figures.extend(score.map(score_figures).unwrap_or_default());
    cards(&mut html, &figures);
    if !facts.losses.is_empty() {
        html.push_str("<ul class=losses>");
        for loss in &facts.losses {
            let _ = write!(html, "<li>{}</li>", escaped(loss));
        }
        html.push_str("</ul>\n");
    }
    found(&mut html, story);
    if let Some(score) = score {
        judged(&mut html, score, story.secs);
    }
    if let Some(summary) = timing.summary() {
        times(&mut html, timing, &summary);
    }
    if !pictures.is_empty() {
        let title = if score.is_some() { "Moments to look at" } else { "What it looked like" };
        let _ = writeln!(html, "<section><h2>{title}</h2><div class=pictures>");
        for Picture { caption, jpeg } in pictures {
            let (caption, data) = (escaped(caption), base64(jpeg));
            let _ = writeln!(
                html,
                "<figure><img alt=\"{caption}\" src=\"data:image/jpeg;base64,{data}\"><figcaption>{caption}</figcaption></figure>"
            );
        }
        html.push_str("</div></section>\n");
    }
    foot(&mut html, facts);
    html
}

fn cards(html: &mut String, figures: &[(String, String)]) {
    html.push_str("<div class=cards>\n");
    for (label, value) in figures {
        let _ = writeln!(html, "<div class=card><b>{}</b>{}</div>", escaped(value), escaped(label));
    }
    html.push_str("</div>\n");
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The figures that truth allows.
fn score_figures(score: &RecordingScore) -> Vec<(String, String)> {
    let id = &score.identification;
    let mut figures: Vec<(&str, Option<String>)> = vec![
        ("of their time, known people are named right", id.named_right.map(percent)),
        ("of their time, known people have a wrong name", id.named_wrong.map(percent)),
        ("of their time, strangers have a name", id.stranger_named.map(percent)),
        ("wrong names per hour", id.wrong_names_per_hour.map(|rate| format!("{rate:.1}"))),
        ("from first sight to the right name (median)", id.secs_to_name_p50.map(clock)),
        ("expressions right, of the labelled time", score.emotion.right.map(percent)),
    ];
    if let Some(tracking) = &score.tracking {
        figures.push(("IDF1: one id per person", Some(percent(tracking.idf1))));
        figures.push(("HOTA: found and followed", Some(percent(tracking.hota))));
        figures.push(("identity switches", Some(tracking.id_switches.to_string())));
    }
    figures.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value?))).collect()
}

/// Who was found, one row per person or unknown face.
fn found(html: &mut String, story: &Story) {
    html.push_str("<section><h2>Who was there</h2>\n");
    if story.tracks.is_empty() {
        html.push_str("<p>Nobody was found.</p></section>\n");
        return;
    }
    html.push_str("<p class=soft>Upper bar: identity. Lower bar: expression.</p>\n<div class=rows>\n");
    for track in story.tracks.iter().take(MOST_TRACKS) {
        row(html, &picture_of(track), &name_of(track), &detail_of(track), &lanes(track, story.secs));
    }
    row(html, "", "", "", &chart::axis(story.secs));
    html.push_str("</div>\n");
    if let Some(more) = story.tracks.len().checked_sub(MOST_TRACKS).filter(|more| *more > 0) {
        let _ = writeln!(html, "<p class=soft>{more} further faces were there more briefly.</p>");
    }
    legend(html, &IDENTITY_LEGEND);
    if story.tracks.iter().any(|track| !track.emotion.is_empty()) {
        let labels: Vec<(&str, &str)> = Emotion::ALL.into_iter().map(|e| (emotion_class(Some(e)), e.name())).collect();
        legend(html, &[labels, vec![(emotion_class(None), "uncertain")]].concat());
    }
    html.push_str("</section>\n");
}

fn row(html: &mut String, picture: &str, name: &str, detail: &str, bars: &str) {
    let _ = writeln!(
        html,
        "<div class=row><div class=who>{picture}<div><b>{name}</b><small>{detail}</small></div></div><div class=bars>{bars}</div></div>"
    );
}

fn picture_of(track: &Track) -> String {
    let picture = track.thumbnail.as_ref();
    picture.map_or_else(String::new, |jpeg| format!("<img alt=\"\" src=\"data:image/jpeg;base64,{}\">", base64(jpeg)))
}

fn name_of(track: &Track) -> String {
    match (track.name.as_str(), track.person_id.as_str()) {
        ("", "") => "unknown".to_owned(),
        ("", id) => escaped(id),
        (name, _) => escaped(name),
    }
}

fn detail_of(track: &Track) -> String {
    let faces = match track.face_ids.len() {
        0..=3 => track.face_ids.join(" "),
        more => format!("{more} face ids"),
    };
    format!("{} · {}", clock((track.secs * 10.0).round() / 10.0), escaped(&faces))
}

fn lanes(track: &Track, total: f64) -> String {
    let segment = |from, to, class, what: &str| Segment {
        from,
        to,
        class,
        title: format!(
            "{what}, {} to {}",
            clock((from * 10.0_f64).round() / 10.0),
            clock((to * 10.0_f64).round() / 10.0)
        ),
    };
    let identity: Vec<Segment> = track
        .identity
        .iter()
        .map(|Stretch { from, to, what }| {
            let (class, label) = identity_class(*what);
            segment(*from, *to, class, label)
        })
        .collect();
    let emotion: Vec<Segment> = track
        .emotion
        .iter()
        .map(|Stretch { from, to, what }| {
            segment(*from, *to, emotion_class(*what), what.map_or("uncertain", Emotion::name))
        })
        .collect();
    let upper = chart::bar(&identity, total, 16);
    if emotion.is_empty() { upper } else { upper + &chart::bar(&emotion, total, 10) }
}

const IDENTITY_LEGEND: [(&str, &str); 6] = [
    identity_class(IdentityState::Named),
    identity_class(IdentityState::Known),
    identity_class(IdentityState::Anonymous),
    identity_class(IdentityState::Pending),
    identity_class(IdentityState::Ambiguous),
    identity_class(IdentityState::Unknown),
];

const fn identity_class(state: IdentityState) -> (&'static str, &'static str) {
    match state {
        IdentityState::Named => ("named", "named"),
        IdentityState::Known => ("known", "known, without a name"),
        IdentityState::Anonymous => ("anonymous", "remembered stranger"),
        IdentityState::Pending => ("pending", "being looked at"),
        IdentityState::Ambiguous => ("ambiguous", "two people fit"),
        IdentityState::Unknown => ("unknown", "nobody known"),
    }
}

const fn emotion_class(emotion: Option<Emotion>) -> &'static str {
    match emotion {
        Some(Emotion::Neutral) => "neutral",
        Some(Emotion::Happiness) => "happiness",
        Some(Emotion::Surprise) => "surprise",
        Some(Emotion::Sadness) => "sadness",
        Some(Emotion::Anger) => "anger",
        Some(Emotion::Disgust) => "disgust",
        Some(Emotion::Fear) => "fear",
        Some(Emotion::Contempt) => "contempt",
        None => "uncertain",
    }
}

fn legend(html: &mut String, entries: &[(&str, &str)]) {
    html.push_str("<p class=legend>");
    for (class, label) in entries {
        let _ = write!(html, "<span><i class={class}></i>{label}</span> ");
    }
    html.push_str("</p>\n");
}

/// What truth says of it.
fn judged(html: &mut String, score: &RecordingScore, total: f64) {
    html.push_str("<section><h2>Compared with the truth</h2>\n<div class=rows>\n");
    for person in &score.people {
        let bar = |span: &crate::eval::recording::Span| {
            let (class, label) = state_class(span.state);
            let title = format!("{label}, {} to {}", clock(span.from), clock(span.to));
            Segment { from: span.from, to: span.to, class, title }
        };
        let segments: Vec<Segment> = person.spans.iter().map(bar).collect();
        row(html, "", &escaped(&person.person), &person_detail(person), &chart::bar(&segments, total, 16));
    }
    row(html, "", "", "", &chart::axis(total));
    html.push_str("</div>\n");
    legend(html, &[State::Right, State::Unnamed, State::Wrong, State::Missed].map(state_class));
    if let Some(interval) = score.identification.named_right_interval {
        let _ = writeln!(
            html,
            "<p class=soft>Named right: {} of known people's time, 95 % between {} and {} (bootstrap over people).</p>",
            percent(interval.value),
            percent(interval.low),
            percent(interval.high)
        );
    }
    if let Some(below) = score.identification.wrong_names_per_hour_below {
        let _ = writeln!(
            html,
            "<p class=soft>No wrong name in this recording proves no more than fewer than {below:.0} per hour (rule of \
             three, 95 %).</p>"
        );
    }
    let id = &score.identification;
    if !id.per_look.det.is_empty() {
        let _ = writeln!(
            html,
            "<h3>Finding known people and not strangers, for every threshold</h3>\n<p class=soft>Per track: {} of known \
             people, {} of strangers. Per look: {} and {}.</p>",
            id.per_track.mated, id.per_track.non_mated, id.per_look.mated, id.per_look.non_mated
        );
        html.push_str(&chart::det(&[("named", &id.per_track.det), ("known", &id.per_look.det)]));
        legend(html, &[("named", "per track"), ("known", "per look")]);
    }
    let emotion = &score.emotion;
    if !emotion.labels.is_empty() {
        html.push_str("<h3>Expressions: what is true (rows) and what was said</h3>\n");
        html.push_str(&chart::confusion(&emotion.labels, &emotion.confusion_secs, "s"));
    }
    html.push_str("</section>\n");
}

fn person_detail(person: &PersonScore) -> String {
    let what = if person.enrolled { "known" } else { "stranger" };
    let visits = if person.visits == 1 { "visit" } else { "visits" };
    format!("{what} · {} visible · {} {visits}", clock(person.visible_secs.round()), person.visits)
}

const fn state_class(state: State) -> (&'static str, &'static str) {
    match state {
        State::Right => ("named", "right name"),
        State::Unnamed => ("unknown", "no name"),
        State::Wrong => ("wrong", "wrong name"),
        State::Missed => ("missed", "not found"),
    }
}

fn times(html: &mut String, timing: &Timing, summary: &TimingSummary) {
    let frame = &summary.frame;
    html.push_str("<section><h2>Time per frame</h2>\n");
    let marks = [("half below", frame.p50_ms), ("99 % below", frame.p99_ms)];
    html.push_str(&chart::histogram(timing.frames(), &marks));
    html.push_str(
        "<div class=scroll><table><tr><th>stage</th><th>median</th><th>90 %</th><th>99 %</th><th>slowest</th></tr>",
    );
    let age = summary.age.iter().map(|age| ("from image to people", age));
    let rows = age.chain([("whole frame", frame)]).chain(summary.stages.iter().map(|(stage, q)| (*stage, q)));
    for (stage, q) in rows {
        let _ = write!(
            html,
            "<tr><th>{stage}</th><td>{:.2} ms</td><td>{:.2} ms</td><td>{:.2} ms</td><td>{:.2} ms</td></tr>",
            q.p50_ms, q.p90_ms, q.p99_ms, q.max_ms
        );
    }
    html.push_str("</table></div></section>\n");
}

fn foot(html: &mut String, facts: &Facts) {
    html.push_str("<section><h2>Made with</h2><div class=scroll><table>");
    for (label, value) in &facts.made_with {
        let _ = write!(html, "<tr><th>{}</th><td>{}</td></tr>", escaped(label), escaped(value));
    }
    let _ = writeln!(
        html,
        "</table></div><details><summary>Parameters</summary><pre>{}</pre></details></section>\n</main></html>",
        escaped(&facts.parameters)
    );
}

/// Text as it may stand in the page, also inside quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// RFC 4648, with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0_u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for digit in 0..4 {
            let is_padding = digit > three.len();
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if is_padding { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}

const HEAD: &str = "<!doctype html>
<html lang=en>
<meta charset=utf-8>
<meta name=viewport content=\"width=device-width, initial-scale=1\">
<link rel=icon href=\"data:,\">
<title>rostro report</title>
<style>
  :root { color-scheme: light dark; --ink: #1d2329; --soft: #66717c; --paper: #fbfaf8; --line: #e2dfd9; --card: #fff; --lane: #efece6; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e8e6e2; --soft: #9aa4ae; --paper: #16191c; --line: #32383e; --card: #1e2226; --lane: #24292e; }
  }
  * { box-sizing: border-box; }
  body { font: 15px/1.45 system-ui, sans-serif; margin: 0; color: var(--ink); background: var(--paper); }
  main { max-width: 1080px; margin: 24px auto 60px; padding: 0 16px; }
  h1 { font-size: 22px; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 17px; margin: 34px 0 8px; } h3 { font-size: 14px; margin: 20px 0 6px; }
  header p, .soft, .legend { color: var(--soft); margin: 4px 0 12px; font-size: 13px; }
  .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 10px; margin-top: 14px; }
  .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; font-size: 12.5px; color: var(--soft); }
  .card b { display: block; font-size: 21px; font-weight: 650; color: var(--ink); }
  .losses { color: #c2410c; font-size: 13px; padding-left: 18px; }
  .row { display: grid; grid-template-columns: 230px 1fr; gap: 12px; align-items: center; padding: 5px 0; border-bottom: 1px solid var(--line); }
  .row:last-child { border: 0; }
  .who { display: flex; gap: 10px; align-items: center; min-width: 0; min-height: 34px; } .who img { width: 44px; height: 44px; border-radius: 50%; object-fit: cover; flex: none; }
  .who b { display: block; overflow-wrap: anywhere; } .who small { color: var(--soft); overflow-wrap: anywhere; }
  .bars { min-width: 0; } .bar { display: block; width: 100%; background: var(--lane); border-radius: 3px; } .bar + .bar { margin-top: 3px; }
  .axis { position: relative; height: 16px; font-size: 11px; color: var(--soft); } .axis span { position: absolute; transform: translateX(-50%); white-space: nowrap; } .axis span:first-child { transform: none; }
  @media (max-width: 640px) { .row { grid-template-columns: 1fr; gap: 4px; } }
  .legend span { white-space: nowrap; margin-right: 12px; } .legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
  .named { fill: #2b9348; background: #2b9348; } .known { fill: #3a86c8; background: #3a86c8; } .anonymous { fill: #8d6cc1; background: #8d6cc1; }
  .pending { fill: #e0c04c; background: #e0c04c; } .ambiguous { fill: #e98a3b; background: #e98a3b; } .unknown { fill: #a3aeb8; background: #a3aeb8; }
  .wrong { fill: #d43d3d; background: #d43d3d; } .missed { fill: #e9a23b; background: #e9a23b; }
  .neutral { fill: #b4bcc4; background: #b4bcc4; } .happiness { fill: #f2c230; background: #f2c230; } .surprise { fill: #ef8a3d; background: #ef8a3d; }
  .sadness { fill: #4a7fc1; background: #4a7fc1; } .anger { fill: #d5433f; background: #d5433f; } .disgust { fill: #6f9b3c; background: #6f9b3c; }
  .fear { fill: #8b5fbf; background: #8b5fbf; } .contempt { fill: #9c6b4e; background: #9c6b4e; } .uncertain { fill: #dcd6cc; background: #dcd6cc; }
  .chart { width: 100%; height: auto; font: 13px system-ui, sans-serif; } .chart text { fill: var(--soft); } .column { fill: #3a86c8; } .mark { stroke: var(--soft); stroke-dasharray: 3 3; }
  .det { max-width: 420px; } .grid { stroke: var(--line); } .line { fill: none; stroke-width: 2; } .line.named { stroke: #2b9348; fill: none; } .line.known { stroke: #3a86c8; fill: none; }
  .scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; } th, td { text-align: left; padding: 3px 14px 3px 0; font-weight: 400; vertical-align: top; } td { font-variant-numeric: tabular-nums; } table th { color: var(--soft); }
  .confusion td { min-width: 62px; padding: 6px; text-align: center; background: color-mix(in srgb, #2b9348 calc(var(--share) * 85%), var(--lane)); border: 1px solid var(--paper); }
  .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 12px; }
  figure { margin: 0; } figure img { width: 100%; border-radius: 6px; display: block; } figcaption { color: var(--soft); font-size: 12px; }
  details { margin-top: 12px; font-size: 13px; } pre { overflow-x: auto; font-size: 12px; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }
</style>
<main>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn names_from_outside_cannot_become_markup() {
        let evil = "<script>alert(\"x\")</script> & co";
        let track = Track {
            name: evil.into(),
            person_id: "abcd".into(),
            face_ids: vec![evil.into()],
            secs: 1.0,
            identity: vec![Stretch { from: 0.0, to: 1.0, what: IdentityState::Named }],
            emotion: vec![Stretch { from: 0.0, to: 1.0, what: None }],
            thumbnail: None,
        };
        let story = Story { start: None, secs: 2.0, tracks: vec![track] };
        let facts = Facts {
            recording: evil.into(),
            figures: vec![(evil.into(), evil.into())],
            losses: vec![evil.into()],
            made_with: vec![(evil.into(), evil.into())],
            parameters: evil.into(),
        };
        let picture = Picture { caption: evil.into(), jpeg: vec![1] };
        let html = page(&facts, &story, &Timing::default(), None, &[picture]);
        assert!(!html.contains("<script") && !html.contains("alert(\""));
        assert!(html.matches("&lt;script&gt;").count() >= 8);
        assert!(!html.contains("http"), "the page asks for nothing from elsewhere");
    }
}
