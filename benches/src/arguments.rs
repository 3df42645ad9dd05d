//! What is written behind `cargo bench … --`.

use std::path::PathBuf;

use crate::Result;
use crate::messages::{Kind, payloads, payloads_of_file};

/// The settings of a bench, from its arguments.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Payload bytes of each set of messages, in 10^6 bytes: `--megabytes`.
    pub megabytes: usize,
    /// How often each way is timed, at least 1: `--repetitions`.
    pub repetitions: usize,
    /// A JSON file with an array `statuses` of tweets, in place of made-up ones: `--tweets`.
    pub tweets: Option<PathBuf>,
}

impl Arguments {
    /// Reads `arguments`, with `megabytes` and `repetitions` where they say nothing.
    ///
    /// # Errors
    ///
    /// An argument that isn't known, or a value that isn't a number from 1.
    pub fn read(
        mut arguments: impl Iterator<Item = String>,
        megabytes: usize,
        repetitions: usize,
    ) -> Result<Self> {
        let mut read = Self {
            megabytes,
            repetitions,
            tweets: None,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                // Cargo's own.
                "--bench" => {}
                "--megabytes" => read.megabytes = at_least_one(&value()?)?,
                "--repetitions" => read.repetitions = at_least_one(&value()?)?,
                "--tweets" => read.tweets = Some(value()?.into()),
                _ => {
                    let known = "--megabytes N, --repetitions N, --tweets FILE";
                    return Err(format!("{argument:?} is no argument; there are {known}").into());
                }
            }
        }
        Ok(read)
    }

    /// The messages of a kind: [`megabytes`](Self::megabytes) of them, made up or from the file.
    pub fn payloads(&self, kind: Kind) -> Result<Vec<Vec<u8>>> {
        match (&self.tweets, kind) {
            (Some(file), Kind::Tweets) => payloads_of_file(file, self.bytes()),
            _ => Ok(payloads(kind, self.bytes())),
        }
    }

    /// [`megabytes`](Self::megabytes) in bytes.
    fn bytes(&self) -> usize {
        self.megabytes * 1_000_000
    }
}

fn at_least_one(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is no number from 1").into()),
    }
}
