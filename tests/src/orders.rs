//! One order as JSON text, with what makes decoding hard.
//!
//! Written as text and not through a serializer, for spelling is the point: numbers beyond 64-bit floats, exponents,
//! trailing zeros, escapes beside raw characters, white space, a key that comes twice.

use std::fmt::Write as _;
use std::path::PathBuf;

use fastrand::Rng;
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::cache::root;

/// What a string member of an order may hold, as it is spelled between the quotes.
const NOTES: [&str; 8] = [
    "",
    "leave at the door",
    "请在下班前送到，谢谢",
    r#"a \"quoted\" word, a back\\slash and a \/ slash"#,
    r"line one\nline two\ttabbed\r\n",
    r"\u4e2d\u6587 escaped, \uD83D\uDE00 as a pair, \u00e9 and \u0000 inside",
    "😀🎉 raw, é composed, e\u{301} combining, \u{2028} separator",
    r"{\u0022looks\u0022: [1, 2]} but is a string",
];
const NAMES: [&str; 5] = [
    "张伟",
    "Mary O\u{2019}Neil",
    "Ana Nu\u{f1}ez",
    r"Bj\u00f6rn",
    "李 娜",
];
const CITIES: [&str; 5] = ["杭州", "上海", "Zürich", "São Paulo", "成都"];
const STATUSES: [&str; 4] = ["created", "paid", "shipped", "refunded"];
const TAGS: [&str; 4] = ["new", "sale", "易碎", "b\\u002fc"];
const FLOATS: [&str; 8] = [
    "0.1",
    "1.5e-7",
    "-0.0",
    "1E+5",
    "3.141592653589793",
    "5e-324",
    "1.7976931348623157e308",
    "7",
];

/// The columns of a table that holds what [`order`] writes, as `tests/sdk/mapping.py` reads them.
pub fn mapping() -> PathBuf {
    root().join("tests/fixtures/orders_mapping.json")
}

/// Writes an order of about 700 bytes that was created at `timestamp_ms`.
pub fn order(rng: &mut Rng, index: u64, timestamp_ms: i64) -> String {
    let mut json = String::with_capacity(1024);
    write_order(&mut json, rng, index, timestamp_ms)
        .expect("a string takes all that fits into memory");
    json
}

fn write_order(
    json: &mut String,
    rng: &mut Rng,
    index: u64,
    timestamp_ms: i64,
) -> std::fmt::Result {
    json.push_str("{\"order\":");
    write_head(json, rng, index, timestamp_ms)?;
    json.push_str(",\"user\":");
    write_user(json, rng)?;
    json.push_str(",\"items\":[");
    for number in 0..rng.u32(..5) {
        if number > 0 {
            json.push(',');
        }
        write_item(json, rng)?;
    }
    json.push(']');
    match rng.u32(..20) {
        0 => json.push_str(",\"payment\":null"),
        1 => {}
        _ => write_payment(json, rng, timestamp_ms)?,
    }
    if rng.u32(..3) == 0 {
        // Odd white space inside a value that is taken as the slice that it is.
        write!(
            json,
            ",\"attributes\": {{ \"a.b\" : [ {},2 ,[ ]],\t\"deep\":{{\"er\":{{}}}} }} ",
            rng.u8(..)
        )?;
    }
    json.push('}');
    Ok(())
}

fn write_head(json: &mut String, rng: &mut Rng, index: u64, timestamp_ms: i64) -> std::fmt::Result {
    // Twenty digits: more than a signed 64-bit integer holds, so that only the literal is exact.
    let id = 10_000_000_000_000_000_000 + rng.u64(..8_000_000_000_000_000_000);
    let created = Timestamp::from_millisecond(timestamp_ms)
        .expect("a timestamp within the years that jiff knows")
        .display_with_offset(Offset::constant(8));
    let note = pick(rng, &NOTES);
    write!(
        json,
        "{{\"id\":{id},\"sequence\":{sequence},\"number\":\"SO-{index:012}\",\"status\":\"{status}\",\
         \"created_at\":\"{created}\",\"amount\":{sign}{whole}.{fraction:018},\"total\":{total}.{cents:02}",
        sequence = rng.i64(..),
        status = pick(rng, &STATUSES),
        sign = if rng.u32(..10) == 0 { "-" } else { "" },
        // 20 digits before the point, 18 behind it: all that DECIMAL(38,18) has.
        whole = rng.u64(10_000_000_000_000_000_000..),
        fraction = rng.u64(..1_000_000_000_000_000_000),
        total = rng.u32(..100_000),
        cents = rng.u32(..100),
    )?;
    match rng.u32(..10) {
        0 => {}
        1 => json.push_str(",\"gift\":null"),
        _ => write!(json, ",\"gift\":{}", rng.bool())?,
    }
    if rng.u32(..50) == 0 {
        json.push_str(",\"note\":\"the second one counts\"");
    }
    write!(json, ",\"note\":\"{note}\"}}")
}

fn write_user(json: &mut String, rng: &mut Rng) -> std::fmt::Result {
    write!(
        json,
        "{{\"id\":{},\"name\":\"{}\",\"level\":{},\"email\":",
        rng.u32(..),
        pick(rng, &NAMES),
        rng.u32(..10),
    )?;
    if rng.u32(..4) == 0 {
        json.push_str("null");
    } else {
        write!(json, "\"user{}@example.com\"", rng.u32(..))?;
    }
    if rng.u32(..20) > 0 {
        write!(
            json,
            ",\"address\":{{\"city\":\"{}\",\"street\":\"{} {}\",\"zip\":\"{:06}\",\"geo\":[{},{}]}}",
            pick(rng, &CITIES),
            pick(rng, &["文三路", "Bahnhofstrasse", "Rua Augusta"]),
            rng.u32(1..400),
            rng.u32(..1_000_000),
            rng.f64().mul_add(360.0, -180.0),
            rng.f64().mul_add(180.0, -90.0),
        )?;
    }
    json.push('}');
    Ok(())
}

fn write_item(json: &mut String, rng: &mut Rng) -> std::fmt::Result {
    write!(
        json,
        "{{\"sku\":\"SKU-{:05}\",\"quantity\":{},\"price\":{}.{:02},\"tags\":[",
        rng.u32(..100_000),
        rng.u32(1..9),
        rng.u32(..1000),
        rng.u32(..100),
    )?;
    for number in 0..rng.u32(..3) {
        let comma = if number > 0 { "," } else { "" };
        write!(json, "{comma}\"{}\"", pick(rng, &TAGS))?;
    }
    json.push_str("]}");
    Ok(())
}

fn write_payment(json: &mut String, rng: &mut Rng, timestamp_ms: i64) -> std::fmt::Result {
    write!(
        json,
        ",\"payment\":{{\"method\":\"{}\",\"time\":{},\"fee\":{},\"score\":{}}}",
        pick(rng, &["alipay", "card", "cash"]),
        timestamp_ms + rng.i64(0..600_000),
        rng.f64(),
        pick(rng, &FLOATS),
    )
}

fn pick<'a>(rng: &mut Rng, choices: &[&'a str]) -> &'a str {
    rng.choice(choices.iter())
        .expect("something to choose from")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn orders_have_the_size_that_was_planned_for() {
        let mut rng = Rng::with_seed(1);
        let bytes: usize = (0..2_000)
            .map(|index| order(&mut rng, index, 0).len())
            .sum();
        assert!(
            (650..750).contains(&(bytes / 2_000)),
            "{} bytes on average",
            bytes / 2_000
        );
    }

    #[test]
    fn everything_that_is_hard_occurs() {
        let mut rng = Rng::with_seed(1);
        let orders: Vec<String> = (0..500).map(|index| order(&mut rng, index, 0)).collect();
        let values: Vec<Value> = orders
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        let any = |test: &dyn Fn(&Value) -> bool| assert!(values.iter().any(test));
        any(&|order| order["order"]["gift"].is_null() && order["order"].get("gift").is_some());
        any(&|order| order["order"].get("gift").is_none());
        any(&|order| order["user"].get("address").is_none());
        any(&|order| order.get("payment") == Some(&Value::Null));
        any(&|order| order.get("payment").is_none());
        any(&|order| order["items"] == Value::Array(Vec::new()));
        any(&|order| {
            order["items"]
                .as_array()
                .is_some_and(|items| items.len() == 4)
        });
        any(&|order| order["attributes"]["a.b"].is_array());
        for text in NOTES
            .iter()
            .chain(&FLOATS)
            .chain(&["\"the second one counts\",\"note\""])
        {
            assert!(orders.iter().any(|order| order.contains(text)), "{text}");
        }
    }
}
