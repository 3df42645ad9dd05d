//! References in values: `${name}` of a parameter, `${env.NAME}` and `${window.FORMAT}`, replaced in one pass.
//!
//! What is put in is never looked at again: neither for references nor for YAML. A value that holds `: `, `{` or
//! `${…}` stays the text that it is.

use crate::params::{evaluate, parse};

use super::parameters::{Lookup, ParameterTable};
use super::walk::{Text, nearest, shown};

/// Built-in parameters that people write without declaring one; taken as text they would be a wrong table partition.
const BUILT_IN: [&str; 5] = ["$bizdate", "$bizmonth", "$cyctime", "$gmtdate", "$yyyymmdd"];

/// Longest result, in bytes; above any password or certificate.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The outcome of a substitution that needs no finding of its own.
pub(super) enum Substituted {
    Text(Text),
    /// It uses a parameter that has no value, which is a finding at the parameter.
    Unusable,
}

/// Replaces the references in `text`, or says what is wrong with one of them.
pub(super) fn substitute(
    text: &str,
    parameters: &ParameterTable,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Substituted, String> {
    let mut result = Text {
        text: String::new(),
        opaque: false,
    };
    let mut usable = true;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        result.text.push_str(before);
        rest = after;
        let Some(reference) = after.strip_prefix('{') else {
            refuse_expression(after)?;
            result.text.push('$');
            continue;
        };
        let Some((name, tail)) = reference.split_once('}') else {
            return Err("`${` has no closing `}`; write `${name}`".to_owned());
        };
        rest = tail;
        match resolve(name, parameters, environment)? {
            Some((value, opaque)) => {
                result.text.push_str(&value);
                result.opaque |= opaque;
            }
            None => usable = false,
        }
        if result.text.len() > TEXT_BYTES_MAX {
            return Err(format!(
                "is longer than {TEXT_BYTES_MAX} bytes with its references replaced; shorten it"
            ));
        }
    }
    result.text.push_str(rest);
    Ok(if usable {
        Substituted::Text(result)
    } else {
        Substituted::Unusable
    })
}

/// The value of `${name}` and whether it is opaque; nothing where the parameter has a finding of its own.
fn resolve(
    name: &str,
    parameters: &ParameterTable,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(String, bool)>, String> {
    if let Some(variable) = name.strip_prefix("env.") {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty() || !variable.chars().all(plain) {
            return Err(format!(
                "`${{{name}}}` names no environment variable; write `${{env.NAME}}` with letters, digits and `_`"
            ));
        }
        return match environment(variable) {
            Some(value) => Ok(Some((value, true))),
            None => Err(format!(
                "environment variable `{variable}` is not set; set it for this process"
            )),
        };
    }
    if let Some(format) = name.strip_prefix("window.") {
        return window_start(format, parameters).map(|text| Some((text, false)));
    }
    match parameters.lookup(name) {
        Lookup::Value(value) => Ok(Some((value.text().to_owned(), value.from_environment()))),
        Lookup::Failed => Ok(None),
        Lookup::Unknown => Err(unknown(name, parameters)),
    }
}

/// The start of the window in a format of the time expressions.
fn window_start(format: &str, parameters: &ParameterTable) -> Result<String, String> {
    let Some(start) = &parameters.window_start else {
        return Err(format!(
            "`${{window.{format}}}` is the start of the window, which is for `destination.maxcompute.partition` of a window \
             that starts at a time; declare a parameter for other places"
        ));
    };
    let written = format!("$[{format}]");
    let expression = parse(&written).map_err(|error| format!("`${{window.{format}}}`: {error}"))?;
    evaluate(&expression, start).map_err(|error| format!("`${{window.{format}}}`: {error}"))
}

fn unknown(name: &str, parameters: &ParameterTable) -> String {
    let advice = if let Some(near) = nearest(name, parameters.names()) {
        format!("did you mean `${{{near}}}`?")
    } else if name.to_ascii_lowercase().contains("yyyy") {
        format!(
            "time expressions belong under `parameters`: declare one as `name: ${{{name}}}` and write `${{name}}` here"
        )
    } else {
        "declare it under `parameters`, or write `${env.NAME}` for the environment".to_owned()
    };
    format!("{} is no declared parameter; {advice}", shown(name))
}

/// Refuses what would be a time expression under `parameters`; `after` is the text behind the dollar sign.
fn refuse_expression(after: &str) -> Result<(), String> {
    let expression = if let Some(bracket) = after.strip_prefix('[') {
        let end = bracket.find(']').unwrap_or(bracket.len());
        let inside = bracket.get(..end).unwrap_or_default();
        let is_path =
            inside.starts_with(['\'', '"']) || inside.bytes().all(|byte| byte.is_ascii_digit());
        if is_path && !inside.is_empty() {
            return Err(format!(
                "`$[{inside}]` is neither a time expression nor a field path; write the path without `$`: `[{inside}]`"
            ));
        }
        format!("$[{inside}]")
    } else {
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let word = format!("${}", after.get(..end).unwrap_or_default());
        if !BUILT_IN.contains(&word.as_str()) {
            return Ok(());
        }
        word
    };
    Err(format!(
        "`{expression}` is a time expression, and those belong under `parameters`: declare one as `name: {expression}` \
         and write `${{name}}` here"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> Result<(String, bool), String> {
        let table = ParameterTable::of(&[
            ("startTime", "20261122000000"),
            ("tricky", "a: {b: ${env.HOME}} # [x]\n- ${startTime}"),
        ]);
        let environment = |name: &str| (name == "HOME").then(|| "${startTime}".to_owned());
        match substitute(text, &table, &environment)? {
            Substituted::Text(text) => Ok((text.text, text.opaque)),
            Substituted::Unusable => Err("unusable".to_owned()),
        }
    }

    #[test]
    fn references_are_replaced_once() {
        for (text, expected, opaque) in [
            ("plain", "plain", false),
            ("${startTime}", "20261122000000", false),
            (
                "a${startTime}b${startTime}",
                "a20261122000000b20261122000000",
                false,
            ),
            (
                "${tricky}",
                "a: {b: ${env.HOME}} # [x]\n- ${startTime}",
                false,
            ),
            ("x${env.HOME}", "x${startTime}", true),
            ("pa$$word$ $x {a} $", "pa$$word$ $x {a} $", false),
        ] {
            assert_eq!(replaced(text), Ok((expected.to_owned(), opaque)), "{text}");
        }
    }

    #[test]
    fn everything_else_with_a_bracket_is_refused() {
        for (text, message) in [
            (
                "${strtTime}",
                r#""strtTime" is no declared parameter; did you mean `${startTime}`?"#,
            ),
            (
                "${yyyymmdd-1}",
                r#""yyyymmdd-1" is no declared parameter; time expressions belong under `parameters`: declare one as `name: ${yyyymmdd-1}` and write `${name}` here"#,
            ),
            (
                "${}",
                r#""" is no declared parameter; declare it under `parameters`, or write `${env.NAME}` for the environment"#,
            ),
            ("a${startTime", "`${` has no closing `}`; write `${name}`"),
            (
                "${env.}",
                "`${env.}` names no environment variable; write `${env.NAME}` with letters, digits and `_`",
            ),
            (
                "${env.NOPE}",
                "environment variable `NOPE` is not set; set it for this process",
            ),
            (
                "p$[yyyymmdd-1]",
                "`$[yyyymmdd-1]` is a time expression, and those belong under `parameters`: declare one as `name: $[yyyymmdd-1]` and write `${name}` here",
            ),
            (
                "$[0].a",
                "`$[0]` is neither a time expression nor a field path; write the path without `$`: `[0]`",
            ),
            (
                "$['a.b']",
                "`$['a.b']` is neither a time expression nor a field path; write the path without `$`: `['a.b']`",
            ),
            (
                "$bizdate",
                "`$bizdate` is a time expression, and those belong under `parameters`: declare one as `name: $bizdate` and write `${name}` here",
            ),
        ] {
            assert_eq!(replaced(text), Err(message.to_owned()), "{text}");
        }
    }
}
