//! Payloads from a fuzzer's choices: each byte chooses what comes next, so that most of them are JSON and reach the
//! mapped fields.

mod words;

use words::{DATES, KEYS, MAP_KEYS, MAPPED_KEYS, NUMBERS, OFFSETS, PIECES, SPACE, TIMES};

/// Kinds of values; some of them go into certain fields.
const KINDS: usize = 12;
const TIME: usize = 5;
const JSON_TEXT: usize = 8;
const ARRAY: usize = 9;
const MAP: usize = 10;
const RECORD: usize = 11;
/// Arrays and objects that are chosen within each other; there are deeper ones that are made at once.
const DEPTH_MAX: usize = 6;

/// The payload that the choices make. Without any more the first one is taken, which always comes to an end.
pub(super) fn payload(choices: &[u8]) -> Vec<u8> {
    let mut recipe = Recipe { choices };
    let mut text = recipe.space();
    text += &match recipe.choose(8) {
        0..6 => recipe.record(0),
        _ => recipe.any(0),
    };
    text += &recipe.space();
    let mut payload = text.into_bytes();
    recipe.spoil(&mut payload);
    payload
}

struct Recipe<'a> {
    choices: &'a [u8],
}

impl Recipe<'_> {
    /// A number below `count`, which is at most 256.
    fn choose(&mut self, count: usize) -> usize {
        self.choices
            .split_off_first()
            .map_or(0, |choice| usize::from(*choice) % count)
    }

    fn pick(&mut self, texts: &[&'static str]) -> &'static str {
        texts
            .get(self.choose(texts.len()))
            .copied()
            .unwrap_or_default()
    }

    /// Mostly none.
    fn space(&mut self) -> String {
        let space = self.choose(4) == 1;
        if space {
            self.pick(&SPACE).to_owned()
        } else {
            String::new()
        }
    }

    /// Fields, most of which are mapped, with values that go there.
    fn record(&mut self, depth: usize) -> String {
        let few = self.choose(4) > 0;
        let keys = KEYS.get(..if few { MAPPED_KEYS } else { KEYS.len() });
        let mut fields = Vec::new();
        while self.choose(8) != 0 {
            let key = self.pick(keys.unwrap_or_default());
            let (before, between) = (self.space(), self.space());
            let kind = match key {
                _ if self.choose(8) == 7 => self.choose(KINDS),
                "b" | "s" | "\\u0073" => RECORD,
                "c" | "e" if depth == 0 => ARRAY,
                "d" => TIME,
                "m" | "\\u006d" => MAP,
                "n" => JSON_TEXT,
                _ => self.choose(KINDS),
            };
            let value = self.of_kind(kind, depth + 1);
            fields.push(format!("{before}\"{key}\"{between}:{value}"));
        }
        format!("{{{}{}}}", fields.join(","), self.space())
    }

    /// Entries whose values are of one kind, or of any.
    fn map(&mut self, depth: usize) -> String {
        let keys: &[_] = match self.choose(4) {
            0 => &KEYS,
            1 => MAP_KEYS.get(..DATES).unwrap_or_default(),
            2 => MAP_KEYS.get(DATES..).unwrap_or_default(),
            _ => &MAP_KEYS,
        };
        let kind = self.choose(KINDS + 4);
        let mut entries = Vec::new();
        while self.choose(5) != 0 {
            let key = self.pick(keys);
            entries.push(format!("\"{key}\":{}", self.of_kind(kind, depth + 1)));
        }
        format!("{{{}{}}}", entries.join(","), self.space())
    }

    /// Elements of one kind, or of any.
    fn array(&mut self, depth: usize) -> String {
        let kind = self.choose(KINDS + 4);
        let mut elements = Vec::new();
        while self.choose(5) != 0 {
            elements.push(self.of_kind(kind, depth + 1));
        }
        format!("[{}{}]", elements.join(","), self.space())
    }

    fn value(&mut self, depth: usize) -> String {
        let kind = self.choose(KINDS);
        self.of_kind(kind, depth)
    }

    /// A value of a kind below [`KINDS`], or of any where there is none.
    fn of_kind(&mut self, kind: usize, depth: usize) -> String {
        let text = self.space();
        let value = match kind {
            0 => "null".to_owned(),
            1 => self.pick(&["true", "false", "\"TRUE\"", "null"]).to_owned(),
            2 => self.pick(&NUMBERS).to_owned(),
            3 => self.number(),
            4 => format!("\"{}\"", self.number()),
            TIME => self.time(),
            6 => self.string(),
            7 if self.choose(64) == 63 => self.deep(),
            JSON_TEXT if depth < DEPTH_MAX => {
                let json = self.any(depth + 1);
                let json = json.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{}\"", json.replace(['\n', '\t', '\r'], " "))
            }
            ARRAY if depth < DEPTH_MAX => self.array(depth),
            MAP if depth < DEPTH_MAX => self.map(depth),
            RECORD if depth < DEPTH_MAX => self.record(depth),
            KINDS.. if depth < DEPTH_MAX => self.value(depth),
            _ => self.pick(&["1", "2", "\"x\""]).to_owned(),
        };
        text + &value + &self.space()
    }

    /// An array or an object, or nearly so.
    fn any(&mut self, depth: usize) -> String {
        match self.choose(6) {
            0..3 => self.array(depth),
            3 => self.map(depth),
            4 => self.record(depth),
            _ => self.value(depth),
        }
    }

    fn number(&mut self) -> String {
        match self.choose(4) {
            0 | 1 => self.pick(&NUMBERS).to_owned(),
            2 => {
                let sign = self.pick(&["", "-"]);
                let digits = match self.choose(3) {
                    0 => "0".to_owned(),
                    _ => format!("1{}", self.digits()),
                };
                let fraction = self.digits();
                let exponent = self.digits();
                let exponent_sign = self.pick(&["", "-", "+"]);
                match self.choose(4) {
                    0 => format!("{sign}{digits}"),
                    1 => format!("{sign}{digits}.{fraction}"),
                    2 => format!("{sign}{digits}e{exponent_sign}{exponent}"),
                    _ => format!("{sign}{digits}.{fraction}E{exponent_sign}{exponent}"),
                }
            }
            _ => {
                let zeros = "0".repeat(self.choose(256) * 2);
                let point = self.pick(&["", "."]);
                format!("1{zeros}{point}5")
            }
        }
    }

    fn digits(&mut self) -> String {
        let count = self.choose(24) + 1;
        (0..count)
            .map(|_| char::from(b'0' + self.digit()))
            .collect()
    }

    fn digit(&mut self) -> u8 {
        u8::try_from(self.choose(10)).unwrap_or_default()
    }

    /// A text that is a time, nearly one, or a number of seconds or the like.
    fn time(&mut self) -> String {
        let time = self.pick(&TIMES);
        match self.choose(6) {
            0..3 => format!("\"{time}\""),
            3 => format!("\"{time}{}\"", self.pick(&OFFSETS)),
            4 => {
                let mut time = time.as_bytes().to_vec();
                let at = self.choose(time.len());
                let digit = b'0' + self.digit();
                if let Some(byte) = time.get_mut(at) {
                    *byte = digit;
                }
                format!("\"{}\"", String::from_utf8_lossy(&time))
            }
            _ => self.number(),
        }
    }

    fn string(&mut self) -> String {
        let mut string = "\"".to_owned();
        while self.choose(4) != 0 {
            string += self.pick(&PIECES);
        }
        string + "\""
    }

    /// Up to some more arrays or objects than are accepted.
    fn deep(&mut self) -> String {
        let depth = 1_000 + self.choose(32);
        let (open, close) = match self.choose(2) {
            0 => ("[", "]"),
            _ => ("{\"s\":", "}"),
        };
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    }

    /// Now and then, a byte is replaced, or the payload cut.
    fn spoil(&mut self, payload: &mut Vec<u8>) {
        let kind = self.choose(16);
        let place = self.choose(256) * 256 + self.choose(256);
        let at = place.checked_rem(payload.len()).unwrap_or_default();
        match (kind, payload.get_mut(at)) {
            (14, Some(byte)) => *byte = self.choices.first().copied().unwrap_or(0xff),
            (15, _) => payload.truncate(at),
            _ => {}
        }
    }
}
