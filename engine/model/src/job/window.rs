//! `window`: two bounds on the message timestamp.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::PartitionSpec;
use crate::Window;
use crate::params::{lint_label, parse_bound};

use super::checked::Lateness;
use super::walk::{Field, Section, Walk, shown};
use super::yaml::Value;

/// Values of a bound that aren't times.
const OFFSET_WORDS: [&str; 3] = ["earliest", "latest", "group"];

const LATENESS: [(&str, Lateness); 2] = [("exact", Lateness::Exact), ("none", Lateness::None)];

/// A bound in ms since the epoch, with the text that it was read from if it was one.
struct Bound {
    instant_ms: i64,
    text: Option<String>,
}

/// What the section says.
pub(super) struct WindowSection {
    pub(super) window: Window,
    pub(super) lateness: Lateness,
    /// The texts of both bounds; nothing where one is given in ms.
    texts: Option<(String, String)>,
}

impl Walk<'_> {
    pub(super) fn window(&mut self, top: &Section<'_>, zone: &TimeZone) -> Option<WindowSection> {
        let section =
            self.required_section(top, "window", &["start", "end", "lateness", "exit"])?;
        let lateness = self.choice(&section, "lateness", &LATENESS, Lateness::default());
        self.choice(&section, "exit", &[("planned", ())], ());
        let start = self.bound_at(&section, "start", zone);
        let end = self.bound_at(&section, "end", zone);
        let (start, end) = (start?, end?);
        let Some(window) = Window::new(start.instant_ms, end.instant_ms) else {
            let message = format!(
                "window end {} is not after its start {}; check `window.end`",
                show(end.instant_ms, zone),
                show(start.instant_ms, zone)
            );
            self.error(&section.get("end")?, message);
            return None;
        };
        Some(WindowSection {
            window,
            lateness,
            texts: start.text.zip(end.text),
        })
    }

    fn bound_at(&mut self, section: &Section<'_>, key: &str, zone: &TimeZone) -> Option<Bound> {
        let advice = "write `yyyymmddhh24miss` digits, ISO 8601, `{ epoch_ms: N }`, or a parameter";
        let field = self.required(section, key, advice)?;
        match field.value {
            Value::Mapping(entries) => {
                if let Some(entry) = entries
                    .iter()
                    .find(|e| e.key == "offset" || e.key == "offsets")
                {
                    let message = format!(
                        "`{}` is an offset, and this version reads time windows only",
                        entry.key
                    );
                    self.error(&field, message);
                    return None;
                }
                self.epoch_ms(&field)
            }
            _ => self.time(&field, zone),
        }
    }

    fn epoch_ms(&mut self, field: &Field<'_>) -> Option<Bound> {
        let section = self.section(field, &["epoch_ms"])?;
        let advice = "write the milliseconds since 1970-01-01T00:00:00Z";
        let number = self.required(&section, "epoch_ms", advice)?;
        let text = self.open_text(&number)?;
        let instant_ms = text
            .parse::<i64>()
            .ok()
            .filter(|ms| Timestamp::from_millisecond(*ms).is_ok());
        if instant_ms.is_none() {
            let message = format!(
                "{} is no number of milliseconds since 1970; write digits",
                shown(&text)
            );
            self.error(&number, message);
        }
        Some(Bound {
            instant_ms: instant_ms?,
            text: None,
        })
    }

    fn time(&mut self, field: &Field<'_>, zone: &TimeZone) -> Option<Bound> {
        let text = self.open_text(field)?;
        if OFFSET_WORDS.contains(&text.as_str()) {
            self.error(
                field,
                format!("`{text}` is a place in the log, and this version reads time windows only"),
            );
            return None;
        }
        match parse_bound(&text, zone) {
            Ok(bound) => {
                for warning in bound.warnings {
                    self.warning(field, warning.to_string());
                }
                Some(Bound {
                    instant_ms: bound.instant_ms,
                    text: Some(text),
                })
            }
            Err(error) => {
                self.error(field, error.to_string());
                None
            }
        }
    }

    /// Warns of a table partition whose name looks like another window's.
    pub(super) fn label(
        &mut self,
        destination: &Section<'_>,
        window: &WindowSection,
        partition: &PartitionSpec,
    ) {
        let label: String = partition
            .0
            .iter()
            .map(|(_, value)| value.as_str())
            .collect();
        let note = window
            .texts
            .as_ref()
            .and_then(|(start, end)| lint_label(start, end, &label));
        let maxcompute = destination.get("maxcompute");
        let maxcompute = maxcompute.as_ref().and_then(Section::of);
        let field = maxcompute.and_then(|section| section.get("partition"));
        if let (Some(note), Some(field)) = (note, field) {
            self.warning(&field, note.text);
        }
    }
}

/// The instant with the zone's offset, `2026-11-23T08:00:00+08:00`.
fn show(instant_ms: i64, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(instant_ms) {
        Ok(instant) => instant
            .display_with_offset(zone.to_offset(instant))
            .to_string(),
        Err(_) => format!("{instant_ms} ms"),
    }
}
