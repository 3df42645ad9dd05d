//! Messages from a seed: the same ones whenever they are asked for, and no text twice within a batch.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fastrand::Rng;
use serde_json::value::RawValue;

use crate::Result;

/// A kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Readings of a device: flat, numbers mostly, about 200 bytes.
    Small,
    /// Orders: nested, with an array of items, about 700 bytes.
    Orders,
    /// Tweets with the fields of Twitter's first API: deeply nested, much text, some of it not ASCII, about 3 kB.
    Tweets,
}

impl Kind {
    /// All kinds, from the smallest.
    pub const ALL: [Self; 3] = [Self::Small, Self::Orders, Self::Tweets];

    /// The name in tables and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Orders => "orders",
            Self::Tweets => "tweets",
        }
    }

    /// The kind of this name.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn from_name(name: &str) -> Result<Self> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
        Ok(kind.ok_or(format!("{name:?} is no kind of message"))?)
    }
}

/// Makes messages until their payloads have `bytes` bytes together, at least one.
pub fn payloads(kind: Kind, bytes: usize) -> Vec<Vec<u8>> {
    let mut rng = Rng::with_seed(20_261_123);
    let mut payloads = Vec::new();
    let mut total = 0;
    while total < bytes.max(1) {
        let number = payloads.len();
        let payload = match kind {
            Kind::Small => small(&mut rng, number),
            Kind::Orders => order(&mut rng, number),
            Kind::Tweets => tweet(&mut rng, number),
        };
        total += payload.len();
        payloads.push(payload.into_bytes());
    }
    payloads
}

/// The elements of the array `statuses` of a JSON file, byte for byte, repeated until they have `bytes` bytes together.
///
/// # Errors
///
/// The file can't be read, or has no such array, or an empty one.
pub fn payloads_of_file(path: &Path, bytes: usize) -> Result<Vec<Vec<u8>>> {
    let text = fs::read_to_string(path)?;
    let file: BTreeMap<String, &RawValue> = serde_json::from_str(&text)?;
    let statuses = file.get("statuses").ok_or("the file has no `statuses`")?;
    let statuses: Vec<&RawValue> = serde_json::from_str(statuses.get())?;
    if statuses.is_empty() {
        return Err("`statuses` is empty".into());
    }
    let mut total = 0;
    let until = |status: &&&RawValue| {
        let goes_on = total < bytes.max(1);
        total += status.get().len();
        goes_on
    };
    let payloads = statuses.iter().cycle().take_while(until);
    Ok(payloads
        .map(|status| status.get().as_bytes().to_vec())
        .collect())
}

fn small(rng: &mut Rng, number: usize) -> String {
    format!(
        "{{\"id\":{},\"ts\":{},\"device\":\"dev-{:06}\",\"kind\":\"{}\",\"temperature\":{:.2},\"humidity\":{:.1},\
         \"pressure\":{:.3},\"ok\":{},\"battery\":{},\"v\":[{:.4},{:.4}],\"geo\":{{\"lat\":{:.6},\"lon\":{:.6}}}}}",
        1_000_000 + number,
        1_795_305_600_000 + i64::from(rng.u32(..86_400_000)),
        rng.u32(..1_000_000),
        pick(rng, &["indoor", "outdoor", "cold chain"]),
        between(rng, -20.0, 45.0),
        between(rng, 0.0, 100.0),
        between(rng, 950.0, 1050.0),
        rng.bool(),
        rng.u8(..=100),
        rng.f64(),
        rng.f64(),
        between(rng, 18.0, 53.0),
        between(rng, 73.0, 135.0),
    )
}

fn order(rng: &mut Rng, number: usize) -> String {
    let items: Vec<String> = (0..rng.u32(1..5))
        .map(|_| {
            format!(
                "{{\"sku\":\"SKU-{:05}\",\"quantity\":{},\"price\":{:.2},\"tags\":[\"{}\"]}}",
                rng.u32(..100_000),
                rng.u32(1..9),
                between(rng, 1.0, 1000.0),
                pick(rng, &["new", "sale", "易碎"]),
            )
        })
        .collect();
    format!(
        "{{\"order\":{{\"id\":{},\"number\":\"SO-{number:012}\",\"status\":\"{}\",\"created_at\":\"{}\",\
         \"total\":{:.2},\"currency\":\"CNY\",\"gift\":{},\"note\":\"{}\"}},\
         \"user\":{{\"id\":{},\"name\":\"{}\",\"level\":{},\"email\":\"user{}@example.com\",\
         \"address\":{{\"city\":\"{}\",\"street\":\"{}\",\"zip\":\"{:06}\",\"geo\":[{:.6},{:.6}]}}}},\
         \"items\":[{}],\
         \"payment\":{{\"method\":\"{}\",\"time\":{},\"fee\":{:.4},\"score\":{:e}}},\
         \"attributes\":{{\"source\":\"{}\",\"trace\":\"{:032x}\"}}}}",
        rng.u64(..1 << 62),
        pick(rng, &["created", "paid", "shipped", "refunded"]),
        time(rng),
        between(rng, 1.0, 10_000.0),
        rng.bool(),
        text(rng, 6),
        rng.u32(..),
        pick(rng, &["张伟", "Mary Major", "Bj\\u00f6rn", "李 娜"]),
        rng.u8(..10),
        rng.u32(..),
        pick(rng, &["杭州", "上海", "Zürich", "成都"]),
        text(rng, 3),
        rng.u32(..1_000_000),
        between(rng, 73.0, 135.0),
        between(rng, 18.0, 53.0),
        items.join(","),
        pick(rng, &["alipay", "card", "cash"]),
        1_795_305_600_000 + i64::from(rng.u32(..86_400_000)),
        rng.f64(),
        rng.f64(),
        pick(rng, &["app", "web", "shop"]),
        rng.u128(..),
    )
}

fn tweet(rng: &mut Rng, number: usize) -> String {
    let mut json = String::with_capacity(6_000);
    status(&mut json, rng, number);
    if rng.u32(..3) == 0 {
        json.push_str(",\"retweeted_status\":{");
        let mut inner = String::new();
        status(&mut inner, rng, number / 2);
        json.push_str(inner.trim_start_matches('{'));
        json.push('}');
    }
    json.push('}');
    json
}

/// Writes a tweet but for its closing brace.
fn status(json: &mut String, rng: &mut Rng, number: usize) {
    let id = 505_874_924_095_815_700 + u64::try_from(number).unwrap_or_default();
    let reply = if rng.u32(..4) == 0 {
        format!("\"user_{}\"", rng.u32(..))
    } else {
        "null".to_owned()
    };
    let _infallible = write!(
        json,
        "{{\"metadata\":{{\"result_type\":\"recent\",\"iso_language_code\":\"{}\"}},\"created_at\":\"{}\",\
         \"id\":{id},\"id_str\":\"{id}\",\"text\":\"{}\",\
         \"source\":\"<a href=\\\"http:\\/\\/twitter.com\\/download\\/iphone\\\" rel=\\\"nofollow\\\">Twitter for iPhone<\\/a>\",\
         \"truncated\":false,\"in_reply_to_status_id\":{},\"in_reply_to_screen_name\":{reply},\"user\":",
        pick(rng, &["ja", "zh", "en"]),
        time(rng),
        text(rng, 12),
        if rng.bool() {
            "null".to_owned()
        } else {
            rng.u64(..1 << 59).to_string()
        },
    );
    user(json, rng);
    let hashtags: Vec<String> = (0..rng.u32(..3))
        .map(|_| {
            format!(
                "{{\"text\":\"{}\",\"indices\":[{},{}]}}",
                text(rng, 1),
                rng.u8(..70),
                rng.u8(70..140)
            )
        })
        .collect();
    let mentions: Vec<String> = (0..rng.u32(..3))
        .map(|_| {
            let id = rng.u32(..);
            format!(
                "{{\"screen_name\":\"user_{id}\",\"name\":\"{}\",\"id\":{id},\"id_str\":\"{id}\",\"indices\":[0,{}]}}",
                text(rng, 1),
                rng.u8(..20)
            )
        })
        .collect();
    let _infallible = write!(
        json,
        ",\"geo\":null,\"coordinates\":null,\"place\":null,\"contributors\":null,\"retweet_count\":{},\
         \"favorite_count\":{},\"entities\":{{\"hashtags\":[{}],\"symbols\":[],\"urls\":[{{\"url\":\"http:\\/\\/t.co\\/{:x}\",\
         \"expanded_url\":\"http:\\/\\/example.com\\/{:x}\",\"indices\":[1,22]}}],\"user_mentions\":[{}]}},\
         \"favorited\":{},\"retweeted\":false,\"lang\":\"{}\"",
        rng.u32(..10_000),
        rng.u32(..10_000),
        hashtags.join(","),
        rng.u32(..),
        rng.u64(..),
        mentions.join(","),
        rng.bool(),
        pick(rng, &["ja", "zh", "en"]),
    );
}

fn user(json: &mut String, rng: &mut Rng) {
    let id = rng.u32(..);
    let offset = if rng.bool() {
        "null".to_owned()
    } else {
        rng.i32(-12..12).wrapping_mul(3600).to_string()
    };
    let _infallible = write!(
        json,
        "{{\"id\":{id},\"id_str\":\"{id}\",\"name\":\"{}\",\"screen_name\":\"user_{id}\",\"location\":\"{}\",\
         \"description\":\"{}\",\"url\":null,\"entities\":{{\"description\":{{\"urls\":[]}}}},\"protected\":false,\
         \"followers_count\":{},\"friends_count\":{},\"listed_count\":{},\"created_at\":\"{}\",\"favourites_count\":{},\
         \"utc_offset\":{offset},\"time_zone\":{},\"geo_enabled\":{},\"verified\":{},\"statuses_count\":{},\"lang\":\"en\",",
        text(rng, 1),
        pick(rng, &["Hangzhou", "東京", "", "São Paulo"]),
        text(rng, 10),
        rng.u32(..1_000_000),
        rng.u32(..10_000),
        rng.u32(..1_000),
        time(rng),
        rng.u32(..100_000),
        pick(rng, &["null", "\"Tokyo\"", "\"Beijing\""]),
        rng.bool(),
        rng.bool(),
        rng.u32(..100_000),
    );
    let image = rng.u64(..);
    let _infallible = write!(
        json,
        "\"contributors_enabled\":false,\"is_translator\":false,\"profile_background_color\":\"{:06X}\",\
         \"profile_background_image_url\":\"http:\\/\\/abs.twimg.com\\/images\\/themes\\/theme{}\\/bg.png\",\
         \"profile_background_tile\":false,\"profile_image_url\":\"http:\\/\\/pbs.twimg.com\\/profile_images\\/{image}\\/{:x}_normal.jpeg\",\
         \"profile_link_color\":\"{:06X}\",\"profile_sidebar_border_color\":\"FFFFFF\",\"profile_text_color\":\"333333\",\
         \"profile_use_background_image\":true,\"default_profile\":{},\"default_profile_image\":false,\"following\":false,\
         \"follow_request_sent\":false,\"notifications\":false}}",
        rng.u32(..1 << 24),
        rng.u8(1..20),
        rng.u64(..),
        rng.u32(..1 << 24),
        rng.bool(),
    );
}

/// Words, some escaped and some not ASCII, with numbers between them that keep texts from repeating.
fn text(rng: &mut Rng, words: usize) -> String {
    const WORDS: [&str; 16] = [
        "加载",
        "昨天的消息",
        "window",
        "closed",
        "open",
        "お早う",
        "😀",
        "delivered",
        "\\\"quoted\\\"",
        "caf\\u00e9",
        "partition",
        "前田あゆみ",
        "一生もんのダチ",
        "offset",
        "line\\nbreak",
        "São",
    ];
    let mut text = String::new();
    for _ in 0..words {
        let _infallible = write!(text, "{} {:x} ", pick(rng, &WORDS), rng.u16(..));
    }
    text.pop();
    text
}

fn time(rng: &mut Rng) -> String {
    format!(
        "2026-11-{:02}T{:02}:{:02}:{:02}.{:03}+08:00",
        rng.u8(1..=30),
        rng.u8(..24),
        rng.u8(..60),
        rng.u8(..60),
        rng.u16(..1000)
    )
}

fn between(rng: &mut Rng, low: f64, high: f64) -> f64 {
    rng.f64().mul_add(high - low, low)
}

fn pick<'a>(rng: &mut Rng, choices: &[&'a str]) -> &'a str {
    choices[rng.usize(..choices.len())]
}
