//! Two reports side by side, and limits on what may get worse.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::str::FromStr;

/// A number that is in both reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Keys joined by dots.
    pub metric: String,
    /// In the first report.
    pub before: f64,
    /// In the second.
    pub after: f64,
}

/// What must not happen, as in `tracking.idf1:-0.01` (no fall by more than 0.01) or
/// `latency.p99_ms:+10%` (no rise by more than a tenth).
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    metric: String,
    by: f64,
    is_relative: bool,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("\"{text}\" is no limit: expected METRIC:-AMOUNT or METRIC:+AMOUNT, the amount with % or not");
        let (metric, amount) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (number, is_relative) = match amount.strip_suffix('%') {
            Some(number) => (number, true),
            None => (amount, false),
        };
        let is_signed = number.starts_with(['+', '-']);
        let by: f64 = number.parse().ok().filter(|by: &f64| is_signed && by.is_finite()).ok_or_else(wrong)?;
        // "-0" forbids any fall, "+0" any rise: the sign of zero tells.
        Ok(Self { metric: metric.to_owned(), by: if is_relative { by / 100.0 } else { by }, is_relative })
    }
}

impl Limit {
    /// Says how the change exceeds this limit, if it does.
    ///
    /// # Errors
    /// When the metric is not in both reports; names those that are near.
    pub fn exceeded(&self, changes: &[Change]) -> Result<Option<String>, String> {
        let Some(change) = changes.iter().find(|change| change.metric == self.metric) else {
            let last = self.metric.rsplit('.').next().unwrap_or_default();
            let near: Vec<&str> =
                changes.iter().map(|change| change.metric.as_str()).filter(|metric| metric.ends_with(last)).collect();
            let near = if near.is_empty() { String::new() } else { format!("; there are {}", near.join(", ")) };
            return Err(format!("no number {} in both reports{near}", self.metric));
        };
        let moved = change.after - change.before;
        let allowed = if self.is_relative { self.by * change.before.abs() } else { self.by };
        // Sums in another order differ in the last digits.
        let slack = 1e-9 * change.before.abs().max(1.0);
        let is_exceeded = if self.by.is_sign_negative() { moved < allowed - slack } else { moved > allowed + slack };
        Ok(is_exceeded.then(|| format!("{} went from {} to {}", change.metric, change.before, change.after)))
    }
}

/// Every number that is in both reports, in the order of its name. Lists are left out.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (before, after) = (numbers(before), numbers(after));
    let both = before.into_iter().filter_map(|(metric, before)| {
        let after = *after.get(&metric)?;
        Some(Change { metric, before, after })
    });
    both.collect()
}

fn numbers(report: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut open = vec![(String::new(), report)];
    while let Some((name, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                let join = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
                open.extend(fields.iter().map(|(key, value)| (join(key), value)));
            }
            Value::Number(number) => {
                found.extend(number.as_f64().map(|number| (name, number)));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_work_in_their_direction_only() {
        let before = json!({"tracking": {"idf1": 0.9}, "latency": {"p99_ms": 100}, "list": [1], "name": "x"});
        let after = json!({"tracking": {"idf1": 0.88}, "latency": {"p99_ms": 108}, "new": 1});
        let changes = changes(&before, &after);
        assert_eq!(changes.len(), 2);
        let exceeded = |limit: &str| limit.parse::<Limit>().unwrap().exceeded(&changes).unwrap().is_some();
        assert!(exceeded("tracking.idf1:-0.01") && !exceeded("tracking.idf1:-0.03") && !exceeded("tracking.idf1:+0"));
        assert!(exceeded("tracking.idf1:-0") && exceeded("tracking.idf1:-1%") && !exceeded("tracking.idf1:-3%"));
        assert!(!exceeded("latency.p99_ms:+10%") && exceeded("latency.p99_ms:+5") && exceeded("latency.p99_ms:+0"));
    }

    #[test]
    fn what_is_no_limit_or_no_metric_is_said() {
        for wrong in ["idf1", "idf1:0.1", "idf1:-x", "idf1:-inf"] {
            assert!(wrong.parse::<Limit>().unwrap_err().contains(wrong));
        }
        let changes = changes(&json!({"a": {"hota": 1}}), &json!({"a": {"hota": 1}}));
        let refusal = "tracking.hota:-0".parse::<Limit>().unwrap().exceeded(&changes).unwrap_err();
        assert!(refusal.contains("there are a.hota"), "{refusal}");
    }
}
