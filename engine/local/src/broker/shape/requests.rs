//! The fields of each request up to its last list, after Kafka's message definitions.

use kafka_protocol::messages::ApiKey;

use super::Shape::{Blob, Fixed, Items, List, Text};
use super::{Field, Shape};

/// A field of every version.
const fn always(shape: Shape) -> Field {
    between(0, i16::MAX, shape)
}

/// A field that `version` brought.
const fn since(version: i16, shape: Shape) -> Field {
    between(version, i16::MAX, shape)
}

/// A field that `version` was the last to have.
const fn until(version: i16, shape: Shape) -> Field {
    between(0, version, shape)
}

const fn between(from: i16, to: i16, shape: Shape) -> Field {
    Field { from, to, shape }
}

const TOPIC_ID: Shape = Fixed(16);
const INT8: Shape = Fixed(1);
const INT16: Shape = Fixed(2);
const INT32: Shape = Fixed(4);
const INT64: Shape = Fixed(8);

/// The fields of a request; none where it has no list.
pub(super) fn fields_of(key: ApiKey) -> &'static [Field] {
    match key {
        ApiKey::Produce => PRODUCE,
        ApiKey::Fetch => FETCH,
        ApiKey::ListOffsets => LIST_OFFSETS,
        ApiKey::Metadata => METADATA,
        ApiKey::OffsetCommit => OFFSET_COMMIT,
        ApiKey::OffsetFetch => OFFSET_FETCH,
        ApiKey::FindCoordinator => FIND_COORDINATOR,
        ApiKey::CreateTopics => CREATE_TOPICS,
        ApiKey::DeleteTopics => DELETE_TOPICS,
        ApiKey::DeleteRecords => DELETE_RECORDS,
        ApiKey::DescribeConfigs => DESCRIBE_CONFIGS,
        ApiKey::CreatePartitions => CREATE_PARTITIONS,
        _ => &[],
    }
}

const PRODUCE: &[Field] = &[
    always(Text),
    always(INT16),
    always(INT32),
    always(List(&[
        until(12, Text),
        since(13, TOPIC_ID),
        always(List(&[always(INT32), always(Blob)])),
    ])),
];

const FETCH: &[Field] = &[
    until(14, INT32),
    always(INT32),
    always(INT32),
    always(INT32),
    always(INT8),
    since(7, INT32),
    since(7, INT32),
    always(List(&[
        until(12, Text),
        since(13, TOPIC_ID),
        always(List(&[
            always(INT32),
            since(9, INT32),
            always(INT64),
            since(12, INT32),
            since(5, INT64),
            always(INT32),
        ])),
    ])),
    since(
        7,
        List(&[until(12, Text), since(13, TOPIC_ID), always(Items(&INT32))]),
    ),
];

const LIST_OFFSETS: &[Field] = &[
    always(INT32),
    since(2, INT8),
    always(List(&[
        always(Text),
        always(List(&[always(INT32), since(4, INT32), always(INT64)])),
    ])),
];

const METADATA: &[Field] = &[always(List(&[since(10, TOPIC_ID), always(Text)]))];

const OFFSET_COMMIT: &[Field] = &[
    always(Text),
    always(INT32),
    always(Text),
    since(7, Text),
    until(4, INT64),
    always(List(&[
        always(Text),
        always(List(&[
            always(INT32),
            always(INT64),
            since(6, INT32),
            always(Text),
        ])),
    ])),
];

const OFFSET_FETCH: &[Field] = &[
    until(7, Text),
    until(7, List(&[always(Text), always(Items(&INT32))])),
    since(
        8,
        List(&[
            always(Text),
            since(9, Text),
            since(9, INT32),
            always(List(&[always(Text), always(Items(&INT32))])),
        ]),
    ),
];

const FIND_COORDINATOR: &[Field] = &[until(3, Text), since(1, INT8), since(4, Items(&Text))];

const CREATE_TOPICS: &[Field] = &[always(List(&[
    always(Text),
    always(INT32),
    always(INT16),
    always(List(&[always(INT32), always(Items(&INT32))])),
    always(List(&[always(Text), always(Text)])),
]))];

const DELETE_TOPICS: &[Field] = &[
    since(6, List(&[always(Text), always(TOPIC_ID)])),
    until(5, Items(&Text)),
];

const DELETE_RECORDS: &[Field] = &[always(List(&[
    always(Text),
    always(List(&[always(INT32), always(INT64)])),
]))];

const DESCRIBE_CONFIGS: &[Field] = &[always(List(&[
    always(INT8),
    always(Text),
    always(Items(&Text)),
]))];

const CREATE_PARTITIONS: &[Field] = &[always(List(&[
    always(Text),
    always(INT32),
    always(List(&[always(Items(&INT32))])),
]))];
