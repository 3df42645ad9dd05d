use super::*;
use crate::params::parse;

fn notes(text: &str) -> Vec<(NoteKind, usize)> {
    lint(&parse(text).unwrap())
        .into_iter()
        .map(|note| (note.kind, note.position))
        .collect()
}

#[test]
fn plain_expressions_have_no_notes() {
    for text in [
        "$[yyyymmddhh24mi-8/24/60]00",
        "$[yyyymmddhh24-1/24]0000",
        "$[yyyymmdd-1]000000",
        "$[add_months(yyyymmdd,-1)]000000",
        "$[add_months(yyyymm,-1)]",
        "$[yyyymm-15/24/60]",
        "$[yyyy]-01-01",
        "$[yyyymm]-01",
        "$[hh24:mi:ss]",
        "${yyyymm-1}",
        "$bizdate",
        "20221122",
    ] {
        assert_eq!(notes(text), [], "{text}");
    }
}

#[test]
fn what_may_not_be_meant_is_noted() {
    use NoteKind as K;
    for (text, kind, position) in [
        ("$[yyyymm-1]", K::DaysNotMonths, 0),
        ("a$[yyyy-1]", K::DaysNotMonths, 1),
        ("$[mm+30]", K::DaysNotMonths, 0),
        ("$[yyyymmddhh]", K::TwelveHours, 0),
        ("$[hh24mm]", K::MonthAsMinute, 0),
        ("$[yyyymmddhh24mmss]", K::MonthAsMinute, 0),
        ("$[yyyymmddhh24-3/24]00000", K::BoundDigits, 0),
        ("$[yyyymmddhh24]000", K::BoundDigits, 0),
        ("$[yyyymmdd-1/7]", K::Rounded, 0),
        ("$[yyyymmdd]-1", K::ShiftOutside, 11),
        ("${yyyymmdd}-8/24/60", K::ShiftOutside, 11),
        ("[yyyymmdd-1]", K::FormatAsText, 0),
        ("'123'", K::Quotes, 0),
        ("$[last_day(yyyymmdd)]", K::NotPortable, 0),
        ("$[yyyymmddhh24miss-30/24/60/60]", K::NotPortable, 0),
        ("$[YYYYMMDD]", K::NotPortable, 0),
        ("a b", K::NotPortable, 0),
        ("ds=1", K::NotPortable, 0),
        ("1${other}", K::NotPortable, 1),
        ("${env.HOME}", K::NotPortable, 0),
        ("$$", K::NotPortable, 0),
    ] {
        assert_eq!(notes(text), [(kind, position)], "{text}");
    }
}

#[test]
fn notes_say_what_to_write() {
    let text = |expression: &str| lint(&parse(expression).unwrap()).remove(0).to_string();
    assert_eq!(
        text("$[yyyymm-1]"),
        "the shift of `$[yyyymm…]` counts days; for months write `$[add_months(yyyymm,-1)]`"
    );
    assert_eq!(
        text("$[yyyy-1]"),
        "the shift of `$[yyyy…]` counts days; for months write `$[add_months(yyyy,-12)]`"
    );
    assert_eq!(
        text("$[yyyymmddhh24-3/24]00000"),
        "15 digits: as a bound, all behind the 12th are the seconds; write 14"
    );
}

#[test]
fn labels_are_compared_with_the_window() {
    let label = |start, end, label| lint_label(start, end, label).map(|note| note.kind);
    let (nine, ten) = ("20221122090000", "20221122100000");
    assert_eq!(label(nine, ten, "2022112210"), Some(NoteKind::LabelAtEnd));
    assert_eq!(label(nine, ten, "2022112209"), None);
    assert_eq!(label(nine, ten, "20221122"), None);
    assert_eq!(
        label("2022-11-22T09:00", "2022-11-22T10:00", "2022-11-22-10"),
        Some(NoteKind::LabelAtEnd)
    );
    let (week, now) = ("20221115000000", "20221122000000");
    assert_eq!(label(week, now, "20221121"), Some(NoteKind::LabelInside));
    assert_eq!(label(week, now, "20221115"), None);
    assert_eq!(label(week, now, "all"), None);
    assert_eq!(
        lint_label(nine, ten, "2022112210").unwrap().text,
        "`2022112210` labels the window by its end 20221122100000; a label by its start would be 2022112209: \
         give it the shift of the start"
    );
}
