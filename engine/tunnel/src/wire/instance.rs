//! SQL instances: what is submitted, and how status and result are read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use quick_xml::escape::escape;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{AnswerError, excerpt};

/// The body that submits `sql`, with `settings` (SQL flags) as a JSON object.
pub fn submission(sql: &str, settings: &serde_json::Map<String, serde_json::Value>) -> String {
    let settings = serde_json::Value::Object(settings.clone()).to_string();
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Instance><Job><Priority>9</Priority><Tasks><SQL>\
         <Name>AnonymousSQLTask</Name><Config><Property><Name>settings</Name><Value>{}</Value></Property></Config>\
         <Query>{}</Query></SQL></Tasks><DAG><RunMode>Sequence</RunMode></DAG></Job></Instance>",
        escape(&settings),
        escape(sql),
    )
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceStatus {
    /// Waiting, running or suspended.
    Running,
    /// At its end, good or bad: its task says which.
    Terminated,
}

impl InstanceStatus {
    /// Reads the answer about an instance.
    pub fn parse(body: &str) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        struct Instance {
            #[serde(rename = "Status")]
            status: String,
        }
        let instance: Instance = xml("an instance", body)?;
        Ok(
            if instance.status.trim().eq_ignore_ascii_case("terminated") {
                Self::Terminated
            } else {
                Self::Running
            },
        )
    }
}

/// How a task of an instance ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    /// As it should.
    Success,
    /// With an error, which is the instance's result.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl TaskStatus {
    /// Reads the status of the one task of an instance that is at its end.
    ///
    /// # Errors
    /// The body isn't an instance with a task, or the task's status is another word: none that might mean that the
    /// statement did nothing may pass for success.
    pub fn parse(body: &str) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        struct Task {
            #[serde(rename = "Status")]
            status: String,
        }
        let task: Task = one_task(body)?;
        match task.status.trim().to_ascii_lowercase().as_str() {
            "success" => Ok(Self::Success),
            "failed" => Ok(Self::Failed),
            "cancelled" | "canceled" => Ok(Self::Cancelled),
            _ => Err(AnswerError::new(format!(
                "the instance has ended, but the status of its task is `{}`",
                excerpt(task.status.as_bytes())
            ))),
        }
    }
}

/// The result of an instance: rows, a text, or the message of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceResult {
    /// Whether the text is rows for [`parse_csv`](super::parse_csv).
    pub csv: bool,
    /// The text.
    pub text: String,
}

impl InstanceResult {
    /// Reads the result of an instance's one task.
    pub fn parse(body: &str) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        struct Task {
            #[serde(rename = "Result")]
            result: Option<Content>,
        }
        #[derive(Deserialize)]
        struct Content {
            #[serde(rename = "@Transform")]
            transform: Option<String>,
            #[serde(rename = "@Format")]
            format: Option<String>,
            #[serde(rename = "$text", default)]
            text: String,
        }
        let task: Task = one_task(body)?;
        let Some(result) = task.result else {
            return Ok(Self {
                csv: false,
                text: String::new(),
            });
        };
        let is = |attribute: &Option<String>, value: &str| {
            attribute
                .as_deref()
                .is_some_and(|found| found.eq_ignore_ascii_case(value))
        };
        let csv = is(&result.format, "csv");
        if !is(&result.transform, "base64") {
            return Ok(Self {
                csv,
                text: result.text,
            });
        }
        let bytes = BASE64
            .decode(result.text.trim())
            .map_err(|error| AnswerError::new(format!("the result isn't base64: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|error| AnswerError::new(format!("the result isn't UTF-8: {error}")))?;
        Ok(Self { csv, text })
    }
}

fn one_task<T: DeserializeOwned>(body: &str) -> Result<T, AnswerError> {
    #[derive(Deserialize)]
    struct Instance<T> {
        #[serde(rename = "Tasks")]
        tasks: Tasks<T>,
    }
    #[derive(Deserialize)]
    struct Tasks<T> {
        #[serde(rename = "Task", default = "Vec::new")]
        tasks: Vec<T>,
    }
    let mut instance: Instance<T> = xml("an instance with a task", body)?;
    instance
        .tasks
        .tasks
        .pop()
        .ok_or_else(|| AnswerError::new("the instance has no task"))
}

fn xml<T: DeserializeOwned>(expected: &str, body: &str) -> Result<T, AnswerError> {
    quick_xml::de::from_str(body).map_err(|error| {
        AnswerError::new(format!(
            "this is not {expected} ({error}): {}",
            excerpt(body.as_bytes())
        ))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn task(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<Instance><Status>Terminated</Status><Tasks>\n<Task Type=\"SQL\"><Name>N</Name>\
             {inner}</Task></Tasks></Instance>"
        )
    }

    #[test]
    fn a_statement_is_escaped() {
        let settings = serde_json::Map::from_iter([("k".to_owned(), "a<b".into())]);
        let body = submission("SELECT '<&>' FROM t;", &settings);
        assert!(
            body.contains("<Query>SELECT &apos;&lt;&amp;&gt;&apos; FROM t;</Query>"),
            "{body}"
        );
        assert!(
            body.contains("<Value>{&quot;k&quot;:&quot;a&lt;b&quot;}</Value>"),
            "{body}"
        );
    }

    #[test]
    fn status_is_read_from_the_instance_and_its_task() {
        let running = "<Instance><Status>Running</Status></Instance>";
        assert_eq!(InstanceStatus::parse(running), Ok(InstanceStatus::Running));
        let failed = task("<StartTime/><EndTime/><Status>Failed</Status><Histories/>");
        assert_eq!(
            InstanceStatus::parse(&failed),
            Ok(InstanceStatus::Terminated)
        );
        assert_eq!(TaskStatus::parse(&failed), Ok(TaskStatus::Failed));
        assert_eq!(
            TaskStatus::parse(&task("<Status>Success</Status>")),
            Ok(TaskStatus::Success)
        );
        assert!(TaskStatus::parse("<Instance><Tasks></Tasks></Instance>").is_err());
        for word in ["Running", "Waiting", "Suspended", ""] {
            let error = TaskStatus::parse(&task(&format!("<Status>{word}</Status>"))).unwrap_err();
            let expected =
                format!("the instance has ended, but the status of its task is `{word}`");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn results_come_plain_or_in_base64() {
        let csv = task(
            "<Result Transform=\"Base64\" Format=\"csv\"><![CDATA[ImEiCjEK]]></Result><Status>Success</Status>",
        );
        assert_eq!(
            InstanceResult::parse(&csv),
            Ok(InstanceResult {
                csv: true,
                text: "\"a\"\n1\n".into()
            })
        );
        let plain =
            task("<Result Format=\"text\"><![CDATA[ODPS-0130161:[1,1] Parse <error>]]></Result>");
        assert_eq!(
            InstanceResult::parse(&plain),
            Ok(InstanceResult {
                csv: false,
                text: "ODPS-0130161:[1,1] Parse <error>".into()
            })
        );
        for nothing in [
            "<Result/>",
            "<Result Format=\"text\"><![CDATA[]]></Result>",
            "",
        ] {
            let result = InstanceResult::parse(&task(nothing));
            assert_eq!(
                result,
                Ok(InstanceResult {
                    csv: false,
                    text: String::new()
                }),
                "{nothing}"
            );
        }
        let damaged = task("<Result Transform=\"Base64\">!</Result>");
        assert!(
            InstanceResult::parse(&damaged)
                .unwrap_err()
                .to_string()
                .contains("base64")
        );
    }

    proptest! {
        #[test]
        fn no_answer_panics(text in "[<>/a-zInstaceTkRul&;!\\[\\]\"= ]{0,80}") {
            for body in [text.clone(), task(&text), task(&format!("<Result>{text}</Result>"))] {
                let _may_be_refused = InstanceStatus::parse(&body);
                let _may_be_refused = TaskStatus::parse(&body);
                let _may_be_refused = InstanceResult::parse(&body);
            }
        }
    }
}
