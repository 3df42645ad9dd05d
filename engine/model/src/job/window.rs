//! `window`: two bounds, on the message timestamp or on offsets, and how far to read for messages between them.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use crate::PartitionSpec;
use crate::Window;
use crate::params::{lint_label, parse_bound};

use super::checked::{Every, Exit, KafkaSource, Lateness, OffsetBound, OffsetBounds};
use super::kafka::partition_number;
use super::walk::{Field, Section, Walk, shown};
use super::yaml::Value;

/// The keys of the section.
const KEYS: [&str; 6] = ["start", "end", "split", "lateness", "exit", "wait_closed"];

/// Bounds that are words.
const OFFSET_WORDS: [(&str, OffsetBound); 3] = [
    ("earliest", OffsetBound::Earliest),
    ("latest", OffsetBound::Latest),
    ("group", OffsetBound::Group),
];

/// One bound as it was written.
enum Bound {
    /// In ms since the epoch, with the text that it was read from if it was one.
    Time {
        instant_ms: i64,
        text: Option<String>,
    },
    Offset(OffsetBound),
}

/// What the section says.
pub(super) struct WindowSection {
    pub(super) window: Window,
    pub(super) offsets: OffsetBounds,
    pub(super) lateness: Lateness,
    pub(super) exit: Exit,
    pub(super) wait_closed: Option<Duration>,
    pub(super) split: Option<Every>,
    /// The texts of both bounds; nothing where one is no text of a time.
    texts: Option<(String, String)>,
}

/// `auto`, `exact`, `none`, or a duration such as `2h`; else the text says what is wrong.
impl FromStr for Lateness {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::default()),
            "exact" => Ok(Self::Exact),
            "none" => Ok(Self::None),
            other => {
                let margin = parse_duration(other).ok_or_else(|| {
                    format!(
                        "{} is neither `auto`, `exact` nor `none`, nor a duration such as `2h`",
                        shown(other)
                    )
                })?;
                let margin_ms = i64::try_from(margin.as_millis()).unwrap_or(i64::MAX);
                Ok(Self::Margin(margin_ms))
            }
        }
    }
}

impl Walk<'_> {
    /// Reads the section; `source` is nothing where it can't be read. A part stands for the whole window.
    pub(super) fn window(
        &mut self,
        top: &Section<'_>,
        zone: &TimeZone,
        source: Option<&KafkaSource>,
        part: Option<Window>,
    ) -> Option<WindowSection> {
        let section = self.required_section(top, "window", &KEYS)?;
        let lateness = self.lateness(&section);
        let exit = self.exit(&section);
        let wait_closed = section.get("wait_closed");
        let wait_closed = wait_closed.and_then(|field| self.duration(&field));
        let start = self.bound_at(&section, "start", zone, source);
        let end = self.bound_at(&section, "end", zone, source);
        let (start, end) = (start?, end?);
        let (mut window, mut offsets) = (Window::ALL, OffsetBounds::default());
        let mut texts = (None, None);
        match start {
            Bound::Time { instant_ms, text } => {
                window.start_ms = instant_ms;
                texts.0 = text;
            }
            Bound::Offset(bound) => offsets.start = Some(bound),
        }
        match end {
            Bound::Time { instant_ms, text } => {
                window.end_ms = instant_ms;
                texts.1 = text;
            }
            Bound::Offset(bound) => offsets.end = Some(bound),
        }
        self.check_order(&section, window, &offsets, zone)?;
        self.warn_of_no_effect(&section, &offsets);
        let lateness = if offsets.starts_at_group() {
            // One run after another: what comes late is of the next one, which begins where this one ends.
            Lateness::None
        } else {
            lateness
        };
        let split = section.get("split");
        let split = split.and_then(|field| self.split(&field, &offsets));
        Some(WindowSection {
            window: part.unwrap_or(window),
            offsets,
            lateness,
            exit,
            wait_closed: wait_closed.map(SignedDuration::unsigned_abs),
            split,
            texts: texts.0.zip(texts.1).filter(|_| part.is_none()),
        })
    }

    /// The end must lie behind the start, as far as this can be told without the topic.
    fn check_order(
        &mut self,
        section: &Section<'_>,
        window: Window,
        offsets: &OffsetBounds,
        zone: &TimeZone,
    ) -> Option<()> {
        let (start, end) = (&offsets.start, &offsets.end);
        let message = if window.start_ms >= window.end_ms {
            format!(
                "window end {} is not after its start {}; check `window.end`",
                show(window.end_ms, zone),
                show(window.start_ms, zone)
            )
        } else if *end == Some(OffsetBound::Earliest) {
            "nothing lies before `earliest`; write a time, an offset or `latest`".to_owned()
        } else if *start == Some(OffsetBound::Latest) {
            "nothing lies between `start: latest` and an end that is fixed when the run is planned; write another start"
                .to_owned()
        } else if start.is_some() && start == end {
            "is where the window starts, so nothing lies in it; check both".to_owned()
        } else if let (Some(OffsetBound::At(start)), Some(OffsetBound::At(end))) = (start, end)
            && start >= end
        {
            format!("offset {end} is not after the start {start}; check both")
        } else {
            return Some(());
        };
        self.error(&section.get("end")?, message);
        None
    }

    /// What is for windows that end by time has no meaning for others.
    fn warn_of_no_effect(&mut self, section: &Section<'_>, offsets: &OffsetBounds) {
        let (keys, message): (&[&str], _) = if offsets.end.is_some() {
            (
                &["lateness", "wait_closed"],
                "has no effect, for the window ends at an offset; take it out",
            )
        } else if offsets.starts_at_group() {
            (
                &["lateness"],
                "has no effect, for what comes late is of the next window, which starts at the group's position; take it out",
            )
        } else {
            return;
        };
        for key in keys {
            if let Some(field) = section.get(key) {
                self.warning(&field, message);
            }
        }
    }

    fn lateness(&mut self, section: &Section<'_>) -> Lateness {
        let Some(field) = section.get("lateness") else {
            return Lateness::default();
        };
        let Some(text) = self.open_text(&field) else {
            return Lateness::default();
        };
        text.parse().unwrap_or_else(|message: String| {
            self.error(&field, message);
            Lateness::default()
        })
    }

    /// `planned`, or `idle` with a duration.
    fn exit(&mut self, section: &Section<'_>) -> Exit {
        let Some(field) = section.get("exit") else {
            return Exit::default();
        };
        let Some(text) = self.open_text(&field) else {
            return Exit::default();
        };
        if text == "planned" {
            return Exit::Planned;
        }
        let idle = text.strip_prefix("idle ").and_then(parse_duration);
        if let Some(idle) = idle.filter(|idle| *idle >= SignedDuration::from_secs(1)) {
            let message = "a run that hears nothing for that long leaves messages unread that are already in the log, and \
                           says how many; `tidegate check` says whether the topic is one for that. `planned` ends by itself";
            self.warning(&field, message);
            return Exit::Idle(idle.unsigned_abs());
        }
        let message = format!(
            "{} is neither `planned` nor `idle` with a duration of a second or more, such as `idle 60s`",
            shown(&text)
        );
        self.error(&field, message);
        Exit::default()
    }

    /// How long the parts of the window are.
    fn split(&mut self, field: &Field<'_>, offsets: &OffsetBounds) -> Option<Every> {
        let text = self.open_text(field)?;
        if offsets.start.is_some() || offsets.end.is_some() {
            let message = "cuts a window between two times, and a bound is an offset; write times, or take it out";
            self.error(field, message);
            return None;
        }
        match text.parse() {
            Ok(every) => Some(every),
            Err(message) => {
                self.error(field, message);
                None
            }
        }
    }

    fn duration(&mut self, field: &Field<'_>) -> Option<SignedDuration> {
        let text = self.open_text(field)?;
        let duration = parse_duration(&text);
        if duration.is_none() {
            let message = format!("{} is no duration; write one such as `10m`", shown(&text));
            self.error(field, message);
        }
        duration
    }

    fn bound_at(
        &mut self,
        section: &Section<'_>,
        key: &str,
        zone: &TimeZone,
        source: Option<&KafkaSource>,
    ) -> Option<Bound> {
        let advice = "write `yyyymmddhh24miss` digits, ISO 8601, `{ epoch_ms: N }`, a parameter, `earliest`, `latest`, \
                      `group` or `{ offset: N }`";
        let field = self.required(section, key, advice)?;
        match field.value {
            Value::Mapping(_) => {
                let section = self.section(&field, &["epoch_ms", "offset", "offsets"])?;
                if section.len() != 1 {
                    let message = "takes one of `epoch_ms`, `offset` and `offsets`";
                    self.error(&field, message);
                    return None;
                }
                if let Some(number) = section.get("epoch_ms") {
                    return self.epoch_ms(&number);
                }
                if let Some(number) = section.get("offset") {
                    return self
                        .offset(&number)
                        .map(|at| Bound::Offset(OffsetBound::At(at)));
                }
                let numbers = section.get("offsets")?;
                self.offsets(&numbers, source).map(Bound::Offset)
            }
            _ => self.time_or_word(&field, zone, source),
        }
    }

    fn epoch_ms(&mut self, number: &Field<'_>) -> Option<Bound> {
        let text = self.open_text(number)?;
        let instant_ms = text
            .parse::<i64>()
            .ok()
            .filter(|ms| Timestamp::from_millisecond(*ms).is_ok());
        if instant_ms.is_none() {
            let message = format!(
                "{} is no number of milliseconds since 1970; write digits",
                shown(&text)
            );
            self.error(number, message);
        }
        Some(Bound::Time {
            instant_ms: instant_ms?,
            text: None,
        })
    }

    fn offset(&mut self, field: &Field<'_>) -> Option<i64> {
        let text = self.open_text(field)?;
        let offset = text.parse::<i64>().ok().filter(|offset| *offset >= 0);
        if offset.is_none() {
            let message = format!("{} is no offset; write 0 or a higher number", shown(&text));
            self.error(field, message);
        }
        offset
    }

    /// Offsets by the number of the topic partition.
    fn offsets(&mut self, field: &Field<'_>, source: Option<&KafkaSource>) -> Option<OffsetBound> {
        if source.is_some_and(|source| source.topics.len() > 1) {
            let message =
                "are those of one topic's partitions, and several topics are listed; name one";
            self.error(field, message);
            return None;
        }
        let section = self.mapping(field)?;
        let mut offsets = BTreeMap::new();
        let mut good = section.len() > 0;
        if !good {
            self.error(field, "names no topic partition; write `{ 0: N, 1: M }`");
        }
        for (name, place, value) in section.fields() {
            let Some(number) = partition_number(name) else {
                let key = Field {
                    place,
                    ..value.clone()
                };
                let message = "is no number of a topic partition; write `{ 0: N, 1: M }`";
                self.error(&key, message);
                good = false;
                continue;
            };
            match self.offset(&value) {
                Some(offset) => {
                    offsets.insert(number, offset);
                }
                None => good = false,
            }
        }
        good.then_some(OffsetBound::Each(offsets))
    }

    fn time_or_word(
        &mut self,
        field: &Field<'_>,
        zone: &TimeZone,
        source: Option<&KafkaSource>,
    ) -> Option<Bound> {
        let text = self.open_text(field)?;
        if let Some((_, bound)) = OFFSET_WORDS.iter().find(|(word, _)| *word == text) {
            let nameless = source.is_some_and(|source| source.group.is_none());
            if *bound == OffsetBound::Group && nameless {
                let message = "is the position of a consumer group, and `source.kafka.group` names none; name it";
                self.error(field, message);
                return None;
            }
            return Some(Bound::Offset(bound.clone()));
        }
        match parse_bound(&text, zone) {
            Ok(bound) => {
                for warning in bound.warnings {
                    self.warning(field, warning.to_string());
                }
                Some(Bound::Time {
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

/// A duration that is not negative. A day has 24 hours, whatever the zone's clocks do.
fn parse_duration(text: &str) -> Option<SignedDuration> {
    let span = text.trim().parse::<Span>().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    (!duration.is_negative()).then_some(duration)
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
