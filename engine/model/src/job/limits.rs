//! `limits`, `rejects` and `schedule`.

use std::num::NonZeroUsize;

use jiff::Span;
use jiff::civil::Time;

use crate::ByteRate;
use crate::limits::{BYTE_RATE_MIN, MEMORY_BYTES_DEFAULT, MEMORY_BYTES_MIN};

use super::checked::{Bandwidth, Every, Limits, RejectLimit, Schedule};
use super::size;
use super::walk::{Field, Section, Walk};
use super::yaml::Value;

/// Lanes beyond this only fight over the memory budget: each needs its fetch queue and an open row group.
const CONCURRENCY_MAX: usize = 1_024;

/// Reruns that the service allows after an error.
const RERUNS_MAX: u8 = 10;

impl Walk<'_> {
    pub(super) fn limits(&mut self, top: &Section<'_>) -> Limits {
        let mut limits = Limits {
            memory_bytes: MEMORY_BYTES_DEFAULT,
            disk_bytes: None,
            concurrency: None,
            bandwidth: Bandwidth::default(),
        };
        let known = ["memory", "disk", "bandwidth", "concurrency"];
        let Some(section) = top
            .get("limits")
            .and_then(|field| self.section(&field, &known))
        else {
            return limits;
        };
        if let Some(field) = section.get("memory")
            && let Some(bytes) = self.size(&field)
        {
            if bytes < MEMORY_BYTES_MIN {
                let (found, least) = (size::show(bytes), size::show(MEMORY_BYTES_MIN));
                let message =
                    format!("{found} is too little to work with; give it {least} or more");
                self.error(&field, message);
            }
            limits.memory_bytes = bytes;
        }
        if let Some(field) = section.get("disk") {
            limits.disk_bytes = self.size(&field);
            if limits.disk_bytes == Some(0) {
                self.error(
                    &field,
                    "no file can be staged in 0 bytes; give it more, or take the key out",
                );
            }
        }
        if let Some(field) = section.get("bandwidth") {
            limits.bandwidth = self.bandwidth(&field);
        }
        if let Some(field) = section.get("concurrency") {
            limits.concurrency = self.concurrency(&field);
        }
        limits
    }

    fn size(&mut self, field: &Field<'_>) -> Option<u64> {
        let text = self.text(field)?;
        let bytes = size::parse(&text.text);
        if bytes.is_none() {
            let message = format!(
                "{} is no size; write bytes, or a number with one of the units kB, MB, GB, TB, KiB, MiB, GiB and TiB, such as `96MiB`",
                text.shown()
            );
            self.error(field, message);
        }
        bytes
    }

    /// One rate for reading and for uploading, or one for each.
    fn bandwidth(&mut self, field: &Field<'_>) -> Bandwidth {
        match field.value {
            Value::Scalar(_) => {
                let rate = self.rate(field, ", or `{ read: …, upload: … }`");
                Bandwidth {
                    read: rate,
                    upload: rate,
                }
            }
            Value::Mapping(_) => {
                let Some(section) = self.section(field, &["read", "upload"]) else {
                    return Bandwidth::default();
                };
                let mut of = |key| section.get(key).and_then(|field| self.rate(&field, ""));
                Bandwidth {
                    read: of("read"),
                    upload: of("upload"),
                }
            }
            Value::List(_) => {
                let message = "found a list where one rate is expected; write `10MiB/s`, `unlimited`, or \
                               `{ read: …, upload: … }`";
                self.error(field, message);
                Bandwidth::default()
            }
        }
    }

    /// A rate; nothing for `unlimited`. `or` is what else may stand in its place.
    fn rate(&mut self, field: &Field<'_>, or: &str) -> Option<ByteRate> {
        let text = self.text(field)?;
        if text.text == "unlimited" {
            return None;
        }
        let Some(bytes) = byte_rate(&text.text) else {
            let message = format!(
                "{} is no rate; write `unlimited`, or bytes in a second such as `10MiB/s`{or}",
                text.shown()
            );
            self.error(field, message);
            return None;
        };
        if bytes < BYTE_RATE_MIN {
            let (found, least) = (size::show(bytes), size::show(BYTE_RATE_MIN));
            let message = format!(
                "{found}/s is too little to work with; give it {least}/s or more, or `unlimited`"
            );
            self.error(field, message);
            return None;
        }
        ByteRate::new(bytes)
    }

    fn concurrency(&mut self, field: &Field<'_>) -> Option<NonZeroUsize> {
        let text = self.text(field)?;
        if text.text == "auto" {
            return None;
        }
        let lanes = text.text.parse::<NonZeroUsize>().ok();
        let lanes = lanes.filter(|lanes| lanes.get() <= CONCURRENCY_MAX);
        if lanes.is_none() {
            let message = format!(
                "{} is no number of lanes; write `auto`, or 1 to {CONCURRENCY_MAX}",
                text.shown()
            );
            self.error(field, message);
        }
        lanes
    }

    pub(super) fn rejects(&mut self, top: &Section<'_>) -> RejectLimit {
        let Some(field) = top.get("rejects") else {
            return RejectLimit::default();
        };
        let Some(text) = self.text(&field) else {
            return RejectLimit::default();
        };
        let limit = reject_limit(&text.text);
        if limit.is_none() {
            let message = format!(
                "{} is no limit; write a number of messages, or a share such as `0.5%`",
                text.shown()
            );
            self.error(&field, message);
        }
        limit.unwrap_or_default()
    }

    /// Reads the schedule, and says that nothing follows it but backfills.
    pub(super) fn schedule(&mut self, top: &Section<'_>) -> Option<Schedule> {
        let field = top.get("schedule")?;
        let section = self.section(&field, &["cycle", "at", "rerun"])?;
        let cycles = [
            ("minute", None),
            ("hour", Some(Every(Span::new().hours(1)))),
            ("day", Some(Every(Span::new().days(1)))),
            ("week", Some(Every(Span::new().weeks(1)))),
            ("month", Some(Every(Span::new().months(1)))),
            ("year", Some(Every(Span::new().years(1)))),
        ];
        let every = self.choice(&section, "cycle", &cycles, None);
        let at = section.get("at").and_then(|at| self.clock_time(&at));
        if let Some(rerun) = section.get("rerun") {
            self.rerun(&rerun);
        }
        let message = "this version runs a job when it is told to, and nothing but `tidegate backfill` follows this \
                       schedule; have a scheduler call `tidegate run` with `--at`";
        self.warning(&field, message);
        Some(Schedule { every, at })
    }

    fn clock_time(&mut self, field: &Field<'_>) -> Option<Time> {
        let text = self.text(field)?;
        let time = clock_time(&text.text);
        if time.is_none() {
            let message = format!("{} is no time of day; write `\"00:15\"`", text.shown());
            self.error(field, message);
        }
        time
    }

    fn rerun(&mut self, field: &Field<'_>) {
        let Some(section) = self.section(field, &["on", "times", "interval"]) else {
            return;
        };
        self.choice(&section, "on", &[("error", ())], ());
        if let Some(times) = section.get("times")
            && let Some(text) = self.text(&times)
            && !text
                .text
                .parse::<u8>()
                .is_ok_and(|times| times <= RERUNS_MAX)
        {
            let message = format!(
                "{} is no number of reruns; write 0 to {RERUNS_MAX}",
                text.shown()
            );
            self.error(&times, message);
        }
        if let Some(interval) = section.get("interval")
            && let Some(text) = self.text(&interval)
            && !text
                .text
                .parse::<jiff::SignedDuration>()
                .is_ok_and(|wait| !wait.is_negative())
        {
            let message = format!(
                "{} is no duration; write one such as `2m` or `90s`",
                text.shown()
            );
            self.error(&interval, message);
        }
    }
}

/// A size and `/s`.
fn byte_rate(text: &str) -> Option<u64> {
    size::parse(text.strip_suffix("/s")?.trim_end())
}

/// `hh:mm`.
fn clock_time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// `N` or `N%`, with up to six digits after the point of a share.
fn reject_limit(text: &str) -> Option<RejectLimit> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let Some(share) = text.strip_suffix('%') else {
        return digits(text).then(|| text.parse().ok().map(RejectLimit::Count))?;
    };
    let share = share.trim_end();
    let (whole, fraction) = share.split_once('.').unwrap_or((share, "0"));
    if !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let millionths: u32 = format!("{whole}{fraction:0<6}").parse().ok()?;
    (millionths <= RejectLimit::WHOLE).then_some(RejectLimit::Share(millionths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_sizes_in_a_second() {
        for (text, rate) in [
            ("10MiB/s", Some(10 << 20)),
            ("10 MB/s", Some(10_000_000)),
            ("0.5gib /s", Some(1 << 29)),
            ("65536/s", Some(65_536)),
            ("10MiB", None),
            ("10MiB/S", None),
            ("10MiB/ s", None),
            ("10MiB/min", None),
            ("10Mbit/s", None),
            ("10Mbps", None),
            ("/s", None),
            ("-1MB/s", None),
        ] {
            assert_eq!(byte_rate(text), rate, "{text}");
        }
    }

    #[test]
    fn reject_limits_are_exact() {
        for (text, limit) in [
            ("0", Some(RejectLimit::Count(0))),
            ("12", Some(RejectLimit::Count(12))),
            ("0%", Some(RejectLimit::Share(0))),
            ("0.5%", Some(RejectLimit::Share(500_000))),
            ("0.000001%", Some(RejectLimit::Share(1))),
            ("100 %", Some(RejectLimit::Share(100_000_000))),
            ("100.1%", None),
            ("0.0000001%", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("%", None),
            ("", None),
            (".5%", None),
            ("18446744073709551616", None),
        ] {
            assert_eq!(reject_limit(text), limit, "{text}");
        }
        let third = RejectLimit::Share(33_333_333);
        assert!(third.allows(33_333_333, 100_000_000));
        assert!(!third.allows(33_333_334, 100_000_000));
        assert!(!third.allows(1, 3));
        assert!(RejectLimit::Share(RejectLimit::WHOLE).allows(u64::MAX, u64::MAX));
        assert!(!RejectLimit::Share(99_999_999).allows(u64::MAX, u64::MAX));
        assert!(RejectLimit::Count(5).allows(5, 5) && !RejectLimit::Count(5).allows(6, 100));
    }
}
