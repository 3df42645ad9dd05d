//! Messages of a shop's order topic, the same ones for the same seed.

use fastrand::Rng;

use crate::orders::order;

/// How many messages of which kind, and where their timestamps lie. The defaults of [`MessagePlan::new`] suit most
/// tests; change the fields that matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessagePlan {
    /// Two plans that differ in nothing give the same messages.
    pub seed: u64,
    /// The number of messages.
    pub messages: u64,
    /// Topic partitions to spread them over, by chance.
    pub partitions: i32,
    /// Earliest possible message timestamp, in ms since the epoch.
    pub start_ms: i64,
    /// All timestamps lie in `[start_ms, start_ms + span_ms)`, evenly spread. At least 1.
    pub span_ms: i64,
    /// Of a thousand messages, those whose timestamp doesn't fit their place in the log.
    pub out_of_order_per_mille: u32,
    /// How far such a timestamp lies away at most, half of them to either side.
    pub displacement_ms_max: i64,
    /// Of a thousand messages, those whose payload isn't JSON.
    pub malformed_per_mille: u32,
    /// Of a thousand messages, those without a payload.
    pub tombstones_per_mille: u32,
}

impl MessagePlan {
    /// One day of messages on three topic partitions, with some of everything that goes wrong in practice.
    pub fn new(seed: u64, messages: u64) -> Self {
        Self {
            seed,
            messages,
            partitions: 3,
            start_ms: 1_795_363_200_000, // 2026-11-23T00:00:00+08:00
            span_ms: 86_400_000,
            out_of_order_per_mille: 50,
            displacement_ms_max: 3 * 3_600_000,
            malformed_per_mille: 2,
            tombstones_per_mille: 5,
        }
    }

    /// The messages, in the order in which they are sent.
    pub fn messages(&self) -> impl Iterator<Item = GeneratedMessage> + use<> {
        let plan = self.clone();
        let mut rng = Rng::with_seed(plan.seed);
        (0..plan.messages).map(move |index| plan.message(index, &mut rng))
    }

    fn message(&self, index: u64, rng: &mut Rng) -> GeneratedMessage {
        let timestamp_ms = self.timestamp_ms(index, rng);
        let kind = match rng.u32(..1000) {
            draw if draw < self.tombstones_per_mille => MessageKind::Tombstone,
            draw if draw < self.tombstones_per_mille + self.malformed_per_mille => {
                MessageKind::Malformed
            }
            _ => MessageKind::Order,
        };
        let payload = match kind {
            MessageKind::Tombstone => None,
            MessageKind::Order => Some(order(rng, index, timestamp_ms).into_bytes()),
            MessageKind::Malformed => {
                let intact = order(rng, index, timestamp_ms);
                Some(malformed(rng, &intact))
            }
        };
        GeneratedMessage {
            partition: rng.i32(0..self.partitions),
            timestamp_ms,
            // Now and then a message has no key. Tombstones always have one: without it they delete nothing.
            key: (kind == MessageKind::Tombstone || rng.u32(..20) > 0)
                .then(|| format!("order-{index:012}").into_bytes()),
            payload,
            headers: headers(rng),
            kind,
        }
    }

    fn timestamp_ms(&self, index: u64, rng: &mut Rng) -> i64 {
        let share = i128::from(self.span_ms) * i128::from(index) / i128::from(self.messages.max(1));
        let mut offset_ms = i64::try_from(share).expect("a share of a span is no longer than it");
        if rng.u32(..1000) < self.out_of_order_per_mille {
            offset_ms += rng.i64(-self.displacement_ms_max..=self.displacement_ms_max);
        }
        self.start_ms + offset_ms.clamp(0, self.span_ms - 1)
    }
}

/// One message, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedMessage {
    /// The topic partition that it goes to.
    pub partition: i32,
    /// Message timestamp, in ms since the epoch.
    pub timestamp_ms: i64,
    /// Kafka's key.
    pub key: Option<Vec<u8>>,
    /// None for a tombstone.
    pub payload: Option<Vec<u8>>,
    /// Names may repeat, values may be missing.
    pub headers: Vec<(&'static str, Option<Vec<u8>>)>,
    /// What becomes of it.
    pub kind: MessageKind,
}

impl GeneratedMessage {
    /// A row, without key and headers.
    pub fn row(partition: i32, timestamp_ms: i64, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            partition,
            timestamp_ms,
            key: None,
            payload: Some(payload.into()),
            headers: Vec::new(),
            kind: MessageKind::Order,
        }
    }
}

/// What a loader must make of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A row.
    Order,
    /// A reject, when any field path is mapped.
    Malformed,
    /// A row of NULL paths, or nothing, as the job says.
    Tombstone,
}

fn headers(rng: &mut Rng) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let mut headers = Vec::new();
    if rng.u32(..4) > 0 {
        headers.push((
            "trace-id",
            Some(format!("{:032x}", rng.u128(..)).into_bytes()),
        ));
        headers.push(("source", Some("app-上海".as_bytes().to_vec())));
    }
    if rng.u32(..10) == 0 {
        headers.push(("source", Some(b"retry".to_vec())));
        headers.push(("empty", None));
    }
    headers
}

/// Something that was meant to be `order` and that no reading of RFC 8259 accepts.
fn malformed(rng: &mut Rng, order: &str) -> Vec<u8> {
    let bytes = order.as_bytes();
    match rng.u32(..10) {
        0 => Vec::new(),
        1 => b"order received".to_vec(),
        // An object is only complete with its last byte.
        2 => bytes
            .iter()
            .copied()
            .take(rng.usize(1..bytes.len()))
            .collect(),
        3 => [bytes, b"}"].concat(),
        4 => [bytes, bytes].concat(),
        5 => order
            .replacen('{', "{\"leading_zero\":007,", 1)
            .into_bytes(),
        6 => order
            .replacen('{', "{\"not_a_number\":NaN,", 1)
            .into_bytes(),
        7 => order.replacen('"', "'", 2).into_bytes(),
        8 => order
            .replacen('{', "{\"control\":\"a\tb\",", 1)
            .into_bytes(),
        _ => [
            b"{\"latin1\":\"na\xefve\",",
            bytes.get(1..).unwrap_or_default(),
        ]
        .concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> MessagePlan {
        MessagePlan {
            malformed_per_mille: 100,
            tombstones_per_mille: 50,
            ..MessagePlan::new(7, 20_000)
        }
    }

    fn share(messages: &[GeneratedMessage], kind: MessageKind) -> usize {
        messages
            .iter()
            .filter(|message| message.kind == kind)
            .count()
            * 1000
            / messages.len()
    }

    #[test]
    fn same_seed_same_messages() {
        assert!(plan().messages().eq(plan().messages()));
        let other = MessagePlan { seed: 8, ..plan() };
        assert!(!plan().messages().eq(other.messages()));
    }

    #[test]
    fn kinds_are_what_they_say() {
        let messages: Vec<_> = plan().messages().collect();
        for message in &messages {
            // Into a `Value`: what serde_json ignores, it doesn't check for UTF-8.
            let parsed = message
                .payload
                .as_deref()
                .map(|payload| serde_json::from_slice::<serde_json::Value>(payload).is_ok());
            let text = String::from_utf8_lossy(message.payload.as_deref().unwrap_or_default());
            match message.kind {
                MessageKind::Order => assert_eq!(parsed, Some(true), "{text}"),
                MessageKind::Malformed => assert_eq!(parsed, Some(false), "{text}"),
                MessageKind::Tombstone => assert!(parsed.is_none() && message.key.is_some()),
            }
        }
        assert!((90..=110).contains(&share(&messages, MessageKind::Malformed)));
        assert!((43..=57).contains(&share(&messages, MessageKind::Tombstone)));
    }

    #[test]
    fn timestamps_fill_the_span_and_some_are_displaced() {
        let plan = plan();
        let stamps: Vec<i64> = plan
            .messages()
            .map(|message| message.timestamp_ms)
            .collect();
        let span = plan.start_ms..plan.start_ms + plan.span_ms;
        assert!(stamps.iter().all(|stamp| span.contains(stamp)));
        assert_eq!(stamps.iter().min(), Some(&span.start));
        assert!(stamps.iter().max() > Some(&(span.end - 10_000)));
        let backwards = stamps.windows(2).filter(|pair| pair[1] < pair[0]).count();
        assert!(
            (800..1200).contains(&backwards),
            "{backwards} of 20,000 go back"
        );

        let ordered = MessagePlan {
            out_of_order_per_mille: 0,
            ..plan
        };
        assert!(
            ordered
                .messages()
                .map(|message| message.timestamp_ms)
                .is_sorted()
        );
    }

    #[test]
    fn every_topic_partition_gets_its_share() {
        let mut counts = [0; 3];
        for message in plan().messages() {
            counts[usize::try_from(message.partition).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (6_300..7_000).contains(count)),
            "{counts:?}"
        );
    }
}
