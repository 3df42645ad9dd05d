//! A shop's orders, the same ones every time.

use std::fmt::Write as _;

/// 26 hours around the business date 2022-11-21 in Shanghai: from an hour before it to an hour after it.
pub(super) const START_MS: i64 = WINDOW_START_MS - HOUR_MS;
pub(super) const WINDOW_START_MS: i64 = 1_668_960_000_000;
pub(super) const WINDOW_END_MS: i64 = WINDOW_START_MS + 24 * HOUR_MS;
const SPAN_MS: i64 = 26 * HOUR_MS;
const HOUR_MS: i64 = 3_600_000;

/// One in so many orders is stamped up to half an hour away from its place in the log.
const OUT_OF_ORDER_ONE_IN: u64 = 20;
/// One in so many messages is cut short, as by a producer that crashed.
const MALFORMED_ONE_IN: u64 = 30_000;
/// One in so many messages has no payload.
const TOMBSTONES_ONE_IN: u64 = 20_000;

const CITIES: [&str; 8] = [
    "Hangzhou", "Shanghai", "Beijing", "成都", "Shenzhen", "Wuhan", "西安", "Nanjing",
];
const CHANNELS: [&str; 4] = ["app", "web", "mini-program", "store"];

/// One message of the topic.
pub(super) struct Order {
    pub(super) partition: i32,
    pub(super) timestamp_ms: i64,
    pub(super) key: String,
    pub(super) content: Content,
    /// Nothing in a tombstone.
    pub(super) payload: Option<String>,
    /// What was paid, in hundredths.
    pub(super) cents: u64,
}

/// What a loader makes of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Order,
    Malformed,
    Tombstone,
}

/// Marsaglia's xorshift: the demo needs variety, not randomness.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let index = self.roll(from.len() as u64);
        usize::try_from(index)
            .ok()
            .and_then(|index| from.get(index))
            .copied()
            .unwrap_or_default()
    }
}

/// `count` messages over `partitions` topic partitions, in the order in which they are sent.
pub(super) fn orders(count: u64, partitions: i32) -> impl Iterator<Item = Order> {
    let mut dice = Dice(0x5EED_0F0D_0A11_DA7A);
    (0..count).map(move |index| order(index, count, partitions, &mut dice))
}

fn order(index: u64, count: u64, partitions: i32, dice: &mut Dice) -> Order {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut timestamp_ms = START_MS + SPAN_MS / signed(count.max(1)) * signed(index);
    if dice.roll(OUT_OF_ORDER_ONE_IN) == 0 {
        timestamp_ms += signed(dice.roll(3_600_000)) - HOUR_MS / 2;
    }
    let id = 700_000_000_000 + index;
    let cents = dice.roll(500_000) + 100;
    let mut payload = json(id, cents, timestamp_ms, dice);
    let content = if dice.roll(MALFORMED_ONE_IN) == 0 {
        let middle = payload.len() / 2;
        payload.truncate(
            (0..=middle)
                .rev()
                .find(|cut| payload.is_char_boundary(*cut))
                .unwrap_or(0),
        );
        Content::Malformed
    } else if dice.roll(TOMBSTONES_ONE_IN) == 0 {
        Content::Tombstone
    } else {
        Content::Order
    };
    let partition =
        i32::try_from(dice.roll(u64::from(partitions.unsigned_abs().max(1)))).unwrap_or(0);
    let key = format!("order-{id}");
    let payload = (content != Content::Tombstone).then_some(payload);
    Order {
        partition,
        timestamp_ms,
        key,
        content,
        payload,
        cents,
    }
}

fn json(id: u64, cents: u64, timestamp_ms: i64, dice: &mut Dice) -> String {
    let mut text = String::with_capacity(640);
    let (yuan, fen) = (cents / 100, cents % 100);
    let paid = dice.roll(10) != 0;
    let grams = dice.roll(9_000) + 50;
    let user = dice.roll(2_000_000);
    let (city, channel) = (dice.pick(&CITIES), dice.pick(&CHANNELS));
    let write = |text: &mut String, dice: &mut Dice| -> std::fmt::Result {
        write!(
            text,
            "{{\"order\":{{\"id\":{id},\"channel\":\"{channel}\",\"ordered_at\":{timestamp_ms}}},"
        )?;
        write!(
            text,
            "\"user\":{{\"id\":{user},\"name\":\"user {user}\",\"address\":{{\"city\":\"{city}\",\"street\":\"{} Long \
             Street\",\"zip\":\"{:06}\"}}}},\"items\":[",
            dice.roll(900) + 1,
            dice.roll(1_000_000),
        )?;
        for item in 0..=dice.roll(3) {
            let comma = if item == 0 { "" } else { "," };
            let (sku, quantity) = (dice.roll(100_000), dice.roll(5) + 1);
            write!(
                text,
                "{comma}{{\"sku\":\"SKU-{sku:06}\",\"quantity\":{quantity},\"tags\":[\"new\",\"sale\"]}}"
            )?;
        }
        write!(
            text,
            "],\"payment\":{{\"amount\":{yuan}.{fen:02},\"currency\":\"CNY\",\"paid\":{paid}}},"
        )?;
        write!(
            text,
            "\"weight_kg\":{}.{:03},\"note\":null}}",
            grams / 1_000,
            grams % 1_000
        )
    };
    write(&mut text, dice).expect("a String takes every write");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_have_some_of_everything() {
        let all: Vec<_> = orders(200_000, 4).collect();
        let with = |content| all.iter().filter(|order| order.content == content).count();
        assert!(with(Content::Malformed) > 0 && with(Content::Tombstone) > 0);
        assert!(with(Content::Order) > 199_000);
        let inside = all
            .iter()
            .filter(|order| (WINDOW_START_MS..WINDOW_END_MS).contains(&order.timestamp_ms));
        assert!(
            (180_000..190_000).contains(&inside.count()),
            "24 of 26 hours"
        );
        assert!(
            all.windows(2)
                .any(|pair| pair[1].timestamp_ms < pair[0].timestamp_ms)
        );
        assert!((0..4).all(|partition| all.iter().any(|order| order.partition == partition)));
        assert_eq!(all[7].payload, orders(200_000, 4).nth(7).unwrap().payload);
    }
}
