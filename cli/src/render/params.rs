//! What an expression comes to.

use engine::model::params::{Explained, Note, ScheduledTime};
use serde_json::json;

use super::table::{Columns, pairs};

/// An expression at one scheduled time.
pub(crate) struct Evaluated<'a> {
    pub(crate) expression: &'a str,
    pub(crate) at: ScheduledTime,
    pub(crate) value: String,
    pub(crate) parts: Vec<Explained>,
    pub(crate) notes: Vec<Note>,
}

impl Evaluated<'_> {
    /// The value, then part by part how it came about, then what may not be meant.
    pub(crate) fn text(&self) -> String {
        let mut columns = Columns::new(&["part", "value", "meaning"]);
        for part in &self.parts {
            columns.row([
                &part.text,
                part.value.as_deref().unwrap_or("-"),
                &part.meaning,
            ]);
        }
        let head = pairs(&[
            ("value", [self.value.clone()]),
            ("scheduled time", [self.at.to_string()]),
        ]);
        let mut lines = vec![head, String::new(), columns.text()];
        if !self.notes.is_empty() {
            lines.push(String::new());
        }
        let note = |note: &Note| format!("note: byte {}: {note}", note.position);
        lines.extend(self.notes.iter().map(note));
        lines.join("\n")
    }

    /// The same for programs.
    pub(crate) fn document(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&json!({
            "expression": self.expression,
            "scheduled_time": self.at.to_string(),
            "value": self.value,
            "parts": self.parts,
            "notes": self.notes,
        }))
    }
}

#[cfg(test)]
mod tests {
    use engine::model::params::{evaluate, explain, lint, parse};
    use jiff::tz::TimeZone;

    use super::*;

    fn evaluated(text: &str) -> Evaluated<'_> {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let at = ScheduledTime::parse("2026-11-23T00:15:00", &zone).unwrap();
        let expression = parse(text).unwrap();
        Evaluated {
            expression: text,
            value: evaluate(&expression, &at).unwrap(),
            parts: explain(&expression, &at).unwrap(),
            notes: lint(&expression),
            at,
        }
    }

    #[test]
    fn the_value_comes_first_and_notes_last() {
        insta::assert_snapshot!(evaluated("$[yyyymm-1]000000").text(), @"
            value           202611000000
            scheduled time  2026-11-23T00:15:00+08:00[Asia/Shanghai]

            part         value   meaning
            $[yyyymm-1]  202611  the scheduled time, 1 day earlier, as yyyymm
            000000       000000  text

            note: byte 0: the shift of `$[yyyymm…]` counts days; for months write `$[add_months(yyyymm,-1)]`
            ");
    }

    #[test]
    fn programs_get_the_same() {
        insta::assert_snapshot!(evaluated("$bizdate").document().unwrap(), @r#"
            {
              "expression": "$bizdate",
              "notes": [],
              "parts": [
                {
                  "kind": "built_in",
                  "meaning": "the business date, as yyyymmdd",
                  "text": "$bizdate",
                  "value": "20261122"
                }
              ],
              "scheduled_time": "2026-11-23T00:15:00+08:00[Asia/Shanghai]",
              "value": "20261122"
            }
            "#);
    }
}
