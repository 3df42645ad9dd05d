//! Looking for a job's paths in a sample.

use engine_model::job::nearest;
use engine_model::{FieldPath, Step};

use super::{PayloadSample, SampledField, TreeStep};

impl PayloadSample {
    /// Messages that have something at `path`; at most so many where it leads to an element of an array.
    pub fn messages_with(&self, path: &FieldPath) -> u64 {
        self.find(path.steps())
            .map_or(0, |field| field.figures().messages)
    }

    /// The path that may be meant by one that no message has: one whose keys are a single key with dots in it, one whose
    /// wrong step is spelled like another, one that wrote an element as a key or forgot it, or one that ends in the same
    /// field elsewhere.
    pub fn nearest(&self, path: &FieldPath) -> Option<FieldPath> {
        let steps = path.steps();
        let known = (0..steps.len()).rev().find_map(|length| {
            let (before, after) = steps.split_at_checked(length)?;
            Some((self.find(before)?, before, after))
        });
        let (field, before, after) = known?;
        let (wrong, rest) = after.split_first()?;
        let instead = |step: Step, rest: &[Step]| {
            let steps = before
                .iter()
                .cloned()
                .chain([step])
                .chain(rest.iter().cloned());
            let path = FieldPath::from(steps.collect::<Vec<_>>());
            (self.messages_with(&path) > 0).then_some(path)
        };
        let Step::Key(wrong) = wrong else { return None };
        let joined = (2..=after.len()).find_map(|count| {
            let (keys, rest) = after.split_at_checked(count)?;
            let keys = keys.iter().map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            });
            let key = keys.collect::<Option<Vec<_>>>()?.join(".");
            instead(Step::Key(key), rest)
        });
        if joined.is_some() {
            return joined;
        }
        let near = nearest(wrong, field.field.keys.keys().map(|key| &**key));
        near.and_then(|near| instead(Step::Key(near.to_owned()), rest))
            .or_else(|| instead(Step::Index(wrong.parse().ok()?), rest))
            .or_else(|| instead(Step::Index(0), after))
            .or_else(|| self.elsewhere(steps.last()?))
    }

    /// The first field with the name of `step`, outside of arrays.
    fn elsewhere(&self, step: &Step) -> Option<FieldPath> {
        let Step::Key(wanted) = step else { return None };
        let is_wanted = |field: &SampledField<'_>| match &field.field.step {
            TreeStep::Key(key) => key.eq_ignore_ascii_case(wanted),
            TreeStep::Top | TreeStep::Elements => false,
        };
        self.fields()
            .filter(is_wanted)
            .find_map(|field| field.field_path())
    }

    fn find(&self, steps: &[Step]) -> Option<SampledField<'_>> {
        let mut field = self.top()?;
        for step in steps {
            field = match step {
                Step::Key(key) => field.key(key)?,
                Step::Index(index) if (*index as u64) < field.figures().elements_max => {
                    field.elements()?
                }
                Step::Index(_) => return None,
            };
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use engine_model::MessageFormat;
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn paths_are_found_and_others_have_a_hint() {
        let empty = || PayloadSample::new(&MessageFormat::default(), &TimeZone::UTC);
        let mut sample = empty();
        sample.observe(
            br#"{"user":{"address":{"city":"x"}},"items":[{"sku":1},{"sku":2}],"a.b":null}"#,
        );
        sample.observe(br#"{"user":{"address":{}}}"#);
        let at = |path: &str| path.parse::<FieldPath>().unwrap();
        for (path, messages) in [
            ("$", 2),
            ("user.address", 2),
            ("user.address.city", 1),
            ("items[1].sku", 1),
            ("items[2].sku", 0),
            ("['a.b']", 1),
            ("a.b", 0),
        ] {
            assert_eq!(sample.messages_with(&at(path)), messages, "{path}");
        }
        for (path, hint) in [
            ("user.addresses.city", Some("user.address.city")),
            ("user.address.City", Some("user.address.city")),
            ("items.sku", Some("items[0].sku")),
            ("items.1.sku", Some("items[1].sku")),
            ("a.b", Some("['a.b']")),
            ("city", Some("user.address.city")),
            ("items[7].sku", None),
            ("weather", None),
        ] {
            let found = sample.nearest(&at(path)).map(|path| path.to_string());
            assert_eq!(found.as_deref(), hint, "{path}");
        }
        assert_eq!(empty().nearest(&at("a")), None);
    }
}
