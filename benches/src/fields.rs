//! The fields that are mapped, and what the engine and its rivals make of them.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields as ArrowFields, Schema};
use engine_decode::{Projection, ProjectionSpec};
use engine_model::ddl::{DdlSpec, create_table};
use engine_model::job::Validation;
use engine_model::limits::LIFECYCLE_DAYS_DEFAULT;
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, MessageFormat, MetadataField, Step,
    TableColumns,
};
use jiff::tz::TimeZone;

use crate::Result;
use crate::messages::Kind;

/// How many fields are mapped in the three sizes of a mapping.
pub const COUNTS: [usize; 3] = [3, 12, 30];

const SMALL: [(&str, &str); 12] = [
    ("BIGINT", "id"),
    ("DOUBLE", "geo.lat"),
    ("STRING", "device"),
    ("BIGINT", "ts"),
    ("STRING", "kind"),
    ("DOUBLE", "temperature"),
    ("DOUBLE", "humidity"),
    ("DOUBLE", "pressure"),
    ("BOOLEAN", "ok"),
    ("BIGINT", "battery"),
    ("DOUBLE", "v[0]"),
    ("DOUBLE", "geo.lon"),
];

const ORDERS: [(&str, &str); 30] = [
    ("BIGINT", "order.id"),
    ("STRING", "user.address.city"),
    ("STRING", "items[0].sku"),
    ("STRING", "order.number"),
    ("STRING", "order.status"),
    ("STRING", "order.created_at"),
    ("DOUBLE", "order.total"),
    ("BOOLEAN", "order.gift"),
    ("BIGINT", "user.id"),
    ("STRING", "user.name"),
    ("STRING", "payment.method"),
    ("BIGINT", "payment.time"),
    ("STRING", "order.note"),
    ("STRING", "order.currency"),
    ("BIGINT", "user.level"),
    ("STRING", "user.email"),
    ("STRING", "user.address.street"),
    ("STRING", "user.address.zip"),
    ("DOUBLE", "user.address.geo[0]"),
    ("DOUBLE", "user.address.geo[1]"),
    ("BIGINT", "items[0].quantity"),
    ("DOUBLE", "items[0].price"),
    ("STRING", "items[0].tags[0]"),
    ("STRING", "items[1].sku"),
    ("BIGINT", "items[1].quantity"),
    ("DOUBLE", "items[1].price"),
    ("DOUBLE", "payment.fee"),
    ("DOUBLE", "payment.score"),
    ("STRING", "attributes.source"),
    ("STRING", "attributes.absent"),
];

const TWEETS: [(&str, &str); 30] = [
    ("BIGINT", "id"),
    ("STRING", "user.screen_name"),
    ("BIGINT", "retweet_count"),
    ("STRING", "created_at"),
    ("STRING", "text"),
    ("STRING", "lang"),
    ("BOOLEAN", "favorited"),
    ("BIGINT", "favorite_count"),
    ("BIGINT", "user.id"),
    ("BIGINT", "user.followers_count"),
    ("STRING", "user.name"),
    ("STRING", "entities.hashtags[0].text"),
    ("STRING", "user.description"),
    ("STRING", "user.location"),
    ("BIGINT", "user.friends_count"),
    ("BIGINT", "user.statuses_count"),
    ("BOOLEAN", "user.verified"),
    ("STRING", "user.time_zone"),
    ("BIGINT", "user.utc_offset"),
    ("STRING", "user.created_at"),
    ("STRING", "source"),
    ("BOOLEAN", "truncated"),
    ("STRING", "in_reply_to_screen_name"),
    ("BIGINT", "in_reply_to_status_id"),
    ("STRING", "entities.user_mentions[0].screen_name"),
    ("BIGINT", "entities.user_mentions[0].id"),
    ("STRING", "entities.urls[0].expanded_url"),
    ("BIGINT", "retweeted_status.id"),
    ("STRING", "retweeted_status.user.screen_name"),
    ("STRING", "metadata.iso_language_code"),
];

/// The mapped fields in the order of the table's columns, which are named `c0` and up.
#[derive(Clone, Debug)]
pub struct MappedFields {
    /// The columns' types and the paths to their values.
    pub fields: Vec<(ColumnType, FieldPath)>,
    /// Whether a column `payload` with all of the payload follows.
    payload: bool,
}

impl MappedFields {
    /// The first `count` fields of a kind of message. Small messages have 12; the others then lead nowhere.
    pub fn of(kind: Kind, count: usize) -> Result<Self> {
        let known: &[(&str, &str)] = match kind {
            Kind::Small => &SMALL,
            Kind::Orders => &ORDERS,
            Kind::Tweets => &TWEETS,
        };
        let known = known
            .iter()
            .map(|(column_type, path)| (*column_type, (*path).to_owned()));
        let absent = (0..).map(|number| ("STRING", format!("absent_{number}")));
        let mut fields = Vec::new();
        for (column_type, path) in known.chain(absent).take(count) {
            fields.push((column_type.parse()?, path.parse()?));
        }
        Ok(Self {
            fields,
            payload: false,
        })
    }

    /// The same, and the whole payload.
    #[must_use]
    pub fn and_payload(self) -> Self {
        Self {
            payload: true,
            ..self
        }
    }

    /// The names of the columns and where their values come from.
    fn mappings(&self) -> Vec<ColumnMapping> {
        let fields = self.fields.iter().enumerate().map(|(number, (_, path))| {
            ColumnMapping::new(format!("c{number}"), ColumnSource::Path(path.clone()))
        });
        let payload = ColumnSource::Metadata(MetadataField::Value);
        let payload = self.payload.then(|| ColumnMapping::new("payload", payload));
        fields.chain(payload).collect()
    }

    /// The table's columns, and the partition key `ds`.
    pub fn table(&self) -> TableColumns {
        let types = self.fields.iter().map(|(column_type, _)| column_type);
        let types = types.chain([&ColumnType::String]);
        let columns = self.mappings().into_iter().zip(types);
        TableColumns {
            columns: columns
                .map(|(mapping, column_type)| Column::new(mapping.column, column_type.clone()))
                .collect(),
            partition_keys: vec![Column::new("ds", ColumnType::String)],
        }
    }

    /// The engine's projection, with full validation.
    pub fn projection(&self) -> Result<Arc<Projection>> {
        self.validated(Validation::Full)
    }

    /// The engine's projection.
    pub fn validated(&self, validation: Validation) -> Result<Arc<Projection>> {
        let mappings = self.mappings();
        let (table, format) = (self.table(), MessageFormat::default());
        let compiled = Projection::compile(&ProjectionSpec {
            validation,
            ..ProjectionSpec::new(&mappings, &table, &format, &TimeZone::UTC)
        });
        Ok(Arc::new(compiled.map_err(|errors| errors[0].to_string())?))
    }

    /// The lines below `columns:` of a job file.
    pub fn job_lines(&self) -> String {
        let mut lines = String::new();
        for ColumnMapping { column, source, .. } in self.mappings() {
            let _infallible = writeln!(lines, "  {column}: \"{source}\"");
        }
        lines
    }

    /// The statement that makes the table.
    pub fn create_table(&self, table: &str) -> String {
        let TableColumns {
            columns,
            partition_keys,
        } = self.table();
        let lifecycle_days = LIFECYCLE_DAYS_DEFAULT;
        create_table(&DdlSpec {
            table: table.to_owned(),
            columns,
            partition_keys,
            lifecycle_days,
        })
    }

    /// The schema in which `arrow-json` reads no more than the mapped fields: objects and arrays around them.
    pub fn nested_schema(&self) -> Schema {
        let mut top = Vec::new();
        for (column_type, path) in &self.fields {
            insert(&mut top, path.steps(), &data_type(column_type));
        }
        Schema::new(top.into_iter().map(Nested::into_field).collect::<Vec<_>>())
    }
}

/// A field of [`MappedFields::nested_schema`] in the making.
struct Nested {
    name: String,
    content: Content,
}

enum Content {
    Leaf(DataType),
    Object(Vec<Nested>),
    /// The elements, as a field `item`.
    Array(Vec<Nested>),
}

impl Nested {
    fn into_field(self) -> Field {
        let data_type = match self.content {
            Content::Leaf(data_type) => data_type,
            Content::Object(fields) => DataType::Struct(
                fields
                    .into_iter()
                    .map(Self::into_field)
                    .collect::<ArrowFields>(),
            ),
            Content::Array(item) => {
                let item = item.into_iter().map(Self::into_field).next();
                DataType::List(Arc::new(
                    item.unwrap_or_else(|| Field::new("item", DataType::Null, true)),
                ))
            }
        };
        Field::new(self.name, data_type, true)
    }
}

fn insert(fields: &mut Vec<Nested>, steps: &[Step], leaf: &DataType) {
    let Some((first, rest)) = steps.split_first() else {
        return;
    };
    // All indexes lead to the one field that stands for an array's elements.
    let name = match first {
        Step::Key(key) => key.as_str(),
        Step::Index(_) => "item",
    };
    let position = fields
        .iter()
        .position(|field| field.name == name)
        .unwrap_or_else(|| {
            let content = match rest.first() {
                None => Content::Leaf(leaf.clone()),
                Some(Step::Key(_)) => Content::Object(Vec::new()),
                Some(Step::Index(_)) => Content::Array(Vec::new()),
            };
            fields.push(Nested {
                name: name.to_owned(),
                content,
            });
            fields.len() - 1
        });
    if let Content::Object(inner) | Content::Array(inner) = &mut fields[position].content {
        insert(inner, rest, leaf);
    }
}

/// The Arrow type of the columns that are mapped here.
fn data_type(column_type: &ColumnType) -> DataType {
    match column_type {
        ColumnType::BigInt => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        _ => DataType::Utf8,
    }
}
