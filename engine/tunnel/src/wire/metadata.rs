//! Answers about projects and tables.

use engine_model::{Column, ColumnType, PartitionSpec, TableColumns};
use serde::Deserialize;

use super::{AnswerError, excerpt};

/// Checks that an answer describes a project, and returns the project's name.
///
/// # Errors
/// The answer is something else, such as the page of a proxy or of another service.
pub fn parse_project(body: &str) -> Result<String, AnswerError> {
    #[derive(Deserialize)]
    enum Answer {
        Project(Project),
    }
    #[derive(Deserialize)]
    struct Project {
        #[serde(rename = "Name")]
        name: String,
    }
    match quick_xml::de::from_str(body) {
        Ok(Answer::Project(project)) => Ok(project.name),
        Err(error) => Err(AnswerError::new(format!(
            "this is not a project ({error}): {}; check `endpoint`",
            excerpt(body.as_bytes())
        ))),
    }
}

/// Reads the columns and partition keys of a table's description.
///
/// # Errors
/// The answer isn't a table's description, or a column has a type that this client doesn't know.
pub fn parse_table(body: &str) -> Result<TableColumns, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename = "Table")]
    struct Table {
        #[serde(rename = "Schema")]
        schema: String,
    }
    #[derive(Deserialize)]
    struct Schema {
        columns: Vec<ColumnFields>,
        #[serde(rename = "partitionKeys", default)]
        partition_keys: Option<Vec<ColumnFields>>,
    }
    let wrong = |error: &dyn std::fmt::Display| {
        let found = excerpt(body.as_bytes());
        AnswerError::new(format!("this is not a table ({error}): {found}"))
    };
    let table: Table = quick_xml::de::from_str(body).map_err(|error| wrong(&error))?;
    let schema: Schema = serde_json::from_str(&table.schema).map_err(|error| wrong(&error))?;
    columns(schema.columns, schema.partition_keys.unwrap_or_default())
}

/// One page of a list of table partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPage {
    /// The table partitions of the page.
    pub partitions: Vec<PartitionSpec>,
    /// What to ask the next page with; nothing at the end of the list.
    pub next: Option<String>,
}

/// Reads one page of a list of table partitions.
///
/// # Errors
/// The answer isn't such a list.
pub fn parse_partitions(body: &str) -> Result<PartitionPage, AnswerError> {
    #[derive(Deserialize)]
    enum Answer {
        Partitions(Partitions),
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Partitions {
        marker: Option<String>,
        #[serde(default)]
        partition: Vec<Partition>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Partition {
        column: Vec<Level>,
    }
    #[derive(Deserialize)]
    struct Level {
        #[serde(rename = "@Name")]
        name: String,
        #[serde(rename = "@Value")]
        value: String,
    }
    let Answer::Partitions(list) = quick_xml::de::from_str(body).map_err(|error| {
        let found = excerpt(body.as_bytes());
        AnswerError::new(format!("this is no list of partitions ({error}): {found}"))
    })?;
    let levels = |partition: Partition| {
        let levels = partition.column.into_iter();
        PartitionSpec(levels.map(|level| (level.name, level.value)).collect())
    };
    Ok(PartitionPage {
        partitions: list.partition.into_iter().map(levels).collect(),
        next: list.marker.filter(|marker| !marker.is_empty()),
    })
}

/// A column as table descriptions and sessions write it; they disagree about the name of `nullable` only.
#[derive(Deserialize)]
pub(super) struct ColumnFields {
    name: String,
    #[serde(rename = "type")]
    column_type: String,
    #[serde(alias = "isNullable")]
    nullable: Option<bool>,
    comment: Option<String>,
}

pub(super) fn columns(
    columns: Vec<ColumnFields>,
    partition_keys: Vec<ColumnFields>,
) -> Result<TableColumns, AnswerError> {
    Ok(TableColumns {
        columns: columns.into_iter().map(column).collect::<Result<_, _>>()?,
        partition_keys: partition_keys
            .into_iter()
            .map(column)
            .collect::<Result<_, _>>()?,
    })
}

fn column(fields: ColumnFields) -> Result<Column, AnswerError> {
    let column_type: ColumnType = fields
        .column_type
        .parse()
        .map_err(|error| AnswerError::new(format!("column {}: {error}", fields.name)))?;
    Ok(Column {
        name: fields.name,
        column_type,
        nullable: fields.nullable.unwrap_or(true),
        comment: fields.comment.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = r#"<?xml version="1.0"?><Table format="Json"><Schema><![CDATA[{"columns":[
        {"name":"id","type":"bigint","comment":"the <id>","isNullable":false,"label":""},
        {"name":"tags","type":"array<string>","comment":null}],
        "partitionKeys":[{"name":"ds","type":"string","comment":""}],"comment":"","lifecycle":-1}]]></Schema>
        <Name>t</Name><TableId>1f</TableId><Comment/><Type>MANAGED_TABLE</Type></Table>"#;

    #[test]
    fn a_table_is_read_from_the_json_inside_the_xml() {
        let table = parse_table(TABLE).unwrap();
        let id = Column {
            name: "id".into(),
            column_type: ColumnType::BigInt,
            nullable: false,
            comment: "the <id>".into(),
        };
        let tags = Column::new("tags", ColumnType::Array(Box::new(ColumnType::String)));
        assert_eq!(table.columns, [id, tags]);
        assert_eq!(
            table.partition_keys,
            [Column::new("ds", ColumnType::String)]
        );
    }

    #[test]
    fn an_unknown_type_is_named_with_its_column() {
        let error = parse_table(&TABLE.replace("bigint", "interval_day_time")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("column id: type \"interval_day_time\""),
            "{error}"
        );
    }

    #[test]
    fn other_answers_are_refused() {
        assert_eq!(
            parse_project("<Project><Name>p</Name><Properties/></Project>").unwrap(),
            "p"
        );
        let error = parse_project("<html><body>hello</body></html>")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("check `endpoint`") && error.contains("hello"),
            "{error}"
        );
        assert!(parse_table("<Table><Schema>nonsense</Schema></Table>").is_err());
        assert!(parse_table("<Table><Name>t</Name></Table>").is_err());
    }

    const PARTITIONS: &str = r#"<?xml version="1.0"?><Partitions><Marker>m2</Marker><MaxItems>1000</MaxItems><Partition>
        <Column Name="ds" Value="20260302"/><Column Name="hh" Value="03"/><CreationTime>7</CreationTime></Partition><Partition>
        <Column Name="ds" Value="a&amp;b"/><Column Name="hh" Value="04"/></Partition></Partitions>"#;

    #[test]
    fn a_page_of_partitions_has_levels_and_a_marker() {
        let level = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let page = parse_partitions(PARTITIONS).unwrap();
        let expected = [
            PartitionSpec(vec![level("ds", "20260302"), level("hh", "03")]),
            PartitionSpec(vec![level("ds", "a&b"), level("hh", "04")]),
        ];
        assert_eq!(
            (page.partitions.as_slice(), page.next.as_deref()),
            (&expected[..], Some("m2"))
        );
        let end = parse_partitions("<Partitions><Marker/></Partitions>").unwrap();
        assert_eq!((end.partitions.len(), end.next), (0, None));
        assert!(parse_partitions("<Tables><Marker/></Tables>").is_err());
    }

    proptest! {
        #[test]
        fn no_list_panics(text in "[<>/a-zParticonMek&;\\[\\]\"= ]{0,80}", cut in 0..PARTITIONS.len()) {
            let _refused = parse_partitions(&text);
            if let Some(start) = PARTITIONS.get(..cut) {
                prop_assert!(parse_partitions(start).is_err());
            }
        }

        #[test]
        fn no_answer_panics(text in "\\PC{0,120}", cut in 0..TABLE.len()) {
            let _refused = parse_table(&text);
            let _refused = parse_project(&text);
            if let Some(start) = TABLE.get(..cut) {
                prop_assert!(parse_table(start).is_err() || cut > TABLE.len() - 9);
            }
        }
    }
}
