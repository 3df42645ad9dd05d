//! Settings of topics and of the broker.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::broker::cluster::{Cluster, NODE_ID, TopicKey};
use crate::broker::limits::{BATCH_BYTES_DEFAULT, PARTITIONS_DEFAULT};
use crate::broker::refusal::Refusal;
use crate::broker::topic_config::{SETTINGS, Setting, Values};

/// `ConfigResource.Type` in Kafka.
const RESOURCE_TOPIC: i8 = 2;
const RESOURCE_BROKER: i8 = 4;

/// `ConfigSource` in Kafka: a value given for the topic.
pub(super) const SOURCE_TOPIC: i8 = 1;
/// A value that the broker was started with.
const SOURCE_BROKER: i8 = 4;
/// A default value.
pub(super) const SOURCE_DEFAULT: i8 = 5;

/// `ConfigType` in Kafka.
const TYPE_BOOLEAN: i8 = 1;
const TYPE_STRING: i8 = 2;
const TYPE_INT: i8 = 3;
const TYPE_LONG: i8 = 5;
const TYPE_LIST: i8 = 7;

/// Describes the settings of each resource.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(cluster, resource, request.include_synonyms) {
            Ok(configs) => result.with_configs(configs),
            Err(refusal) => result
                .with_error_code(refusal.code())
                .with_error_message(Some(refusal.message())),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe(
    cluster: &Cluster,
    resource: &DescribeConfigsResource,
    include_synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    let name = resource.resource_name.as_str();
    let mut configs: Vec<DescribeConfigsResourceResult> = match resource.resource_type {
        RESOURCE_TOPIC => {
            let topic = cluster.topic(TopicKey::Name(name))?;
            SETTINGS
                .iter()
                .map(|setting| {
                    let (value, given) = topic.config.value(setting);
                    describe_setting(setting, value, given, include_synonyms)
                })
                .collect()
        }
        RESOURCE_BROKER if name.is_empty() || name == NODE_ID.to_string() => {
            describe_broker(cluster)
        }
        RESOURCE_BROKER => {
            return Err(Refusal::new(
                ResponseError::InvalidRequest,
                format!("there is no broker {name}, only broker {NODE_ID}"),
            ));
        }
        other => {
            return Err(Refusal::new(
                ResponseError::InvalidRequest,
                format!("resources of type {other} have no settings here"),
            ));
        }
    };
    if let Some(keys) = &resource.configuration_keys {
        configs.retain(|config| keys.contains(&config.name));
    }
    Ok(configs)
}

fn describe_setting(
    setting: &Setting,
    value: &str,
    given: bool,
    include_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let synonym = |value: &str, source| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_static_str(setting.name))
            .with_value(Some(text(value)))
            .with_source(source)
    };
    let mut synonyms = Vec::new();
    if include_synonyms {
        if given {
            synonyms.push(synonym(value, SOURCE_TOPIC));
        }
        synonyms.push(synonym(setting.default, SOURCE_DEFAULT));
    }
    DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_static_str(setting.name))
        .with_value(Some(text(value)))
        .with_config_source(if given { SOURCE_TOPIC } else { SOURCE_DEFAULT })
        .with_synonyms(synonyms)
        .with_config_type(match setting.values {
            Values::Number(_, max) if max <= i64::from(i32::MAX) => TYPE_INT,
            Values::Number(..) => TYPE_LONG,
            Values::Word(_) => TYPE_STRING,
            Values::Words(_) => TYPE_LIST,
        })
        .with_documentation(None)
}

fn describe_broker(cluster: &Cluster) -> Vec<DescribeConfigsResourceResult> {
    let auto_create = cluster.auto_create_partitions;
    [
        (
            "auto.create.topics.enable",
            auto_create.is_some().to_string(),
            TYPE_BOOLEAN,
        ),
        (
            "message.max.bytes",
            BATCH_BYTES_DEFAULT.to_string(),
            TYPE_INT,
        ),
        ("node.id", NODE_ID.to_string(), TYPE_INT),
        (
            "num.partitions",
            auto_create.unwrap_or(PARTITIONS_DEFAULT).to_string(),
            TYPE_INT,
        ),
    ]
    .into_iter()
    .map(|(name, value, config_type)| {
        DescribeConfigsResourceResult::default()
            .with_name(StrBytes::from_static_str(name))
            .with_value(Some(StrBytes::from_string(value)))
            .with_read_only(true)
            .with_config_source(SOURCE_BROKER)
            .with_config_type(config_type)
            .with_documentation(None)
    })
    .collect()
}
