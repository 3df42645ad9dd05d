//! Where the tokens of a JSON text start, found 64 bytes at a time.
//!
//! Tokens are brackets, colons and commas, strings by their opening quotes, and runs of other bytes by the first of
//! them. Between a string's closing quote and the next token there is only white space, so a string ends where the
//! white space before the next token begins, and needs no scan of its own.
//!
//! What is checked here holds for the whole text: strings end, no string has a control character in it, and no
//! backslash is outside of one. Whether the tokens are JSON is for those who walk over them.

mod block;
mod portable;
mod tokens;
#[cfg(target_arch = "x86_64")]
mod x86;

use block::Faults;
pub(crate) use tokens::Tokens;

use crate::reject::RejectReason;

/// Behind the last token there are this many that start where the text ends, with a byte that starts none of JSON's: so
/// a few tokens can be looked at without asking for each whether it is there.
const SENTINELS: usize = 8;

/// The tokens of a text, and the memory for those of the next.
#[derive(Debug)]
pub(crate) struct Index {
    machine: Machine,
    found: Found,
}

/// What the scan writes. The vectors only grow; what is behind the counts is left over from other texts.
#[derive(Debug, Default)]
struct Found {
    /// Where tokens start, and the bytes that they start with.
    positions: Vec<u32>,
    kinds: Vec<u8>,
    tokens: usize,
    /// For each 64 bytes, which of them are backslashes.
    backslashes: Vec<u64>,
    blocks: usize,
}

/// The instructions to scan with: the best that the processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    Portable,
}

impl Machine {
    /// All that this processor can do, the best first.
    fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let fast = [
            x86::Avx512::detect().map(Self::Avx512),
            x86::Avx2::detect().map(Self::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let fast = [None];
        fast.into_iter().flatten().chain([Self::Portable])
    }

    fn scan(self, text: &[u8], found: &mut Found) -> Faults {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(machine) => machine.scan(text, found),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(machine) => machine.scan(text, found),
            Self::Portable => portable::scan(text, found),
        }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self::with_machine(Machine::all().next().unwrap_or(Machine::Portable))
    }
}

impl Index {
    fn with_machine(machine: Machine) -> Self {
        Self {
            machine,
            found: Found::default(),
        }
    }

    /// Finds the tokens of `text`, which is shorter than 4 GiB.
    pub(crate) fn scan<'a>(&'a mut self, text: &'a [u8]) -> Result<Tokens<'a>, RejectReason> {
        let Self { machine, found } = self;
        let end = u32::try_from(text.len()).map_err(|_| RejectReason::InvalidJson)?;
        found.start(text.len());
        let faults = machine.scan(text, found);
        if faults.any() {
            return Err(RejectReason::InvalidJson);
        }
        found.end(end);
        let backslashes = if faults.has_backslashes() {
            found.backslashes.get(..found.blocks).unwrap_or_default()
        } else {
            &[]
        };
        let end = found.tokens + SENTINELS;
        Ok(Tokens {
            text,
            positions: found.positions.get(..end).unwrap_or_default(),
            kinds: found.kinds.get(..end).unwrap_or_default(),
            backslashes,
        })
    }

    /// Bytes of memory that are reserved.
    pub(crate) fn memory(&self) -> usize {
        let Found {
            positions,
            kinds,
            backslashes,
            ..
        } = &self.found;
        4 * positions.capacity() + kinds.capacity() + 8 * backslashes.capacity()
    }
}

impl Found {
    fn start(&mut self, bytes: usize) {
        self.tokens = 0;
        self.blocks = 0;
        let blocks = bytes.div_ceil(64);
        if self.backslashes.len() < blocks {
            self.backslashes.resize(blocks, 0);
        }
    }

    /// Where the positions and the first bytes of the tokens in the next 64 bytes go.
    #[inline]
    fn room(&mut self) -> Option<(&mut [u32; 64], &mut [u8; 64])> {
        if self.positions.len() < self.tokens + 64 || self.kinds.len() < self.tokens + 64 {
            self.grow();
        }
        let positions = self.positions.get_mut(self.tokens..)?;
        let kinds = self.kinds.get_mut(self.tokens..)?;
        Some((positions.first_chunk_mut()?, kinds.first_chunk_mut()?))
    }

    #[cold]
    fn grow(&mut self) {
        let twice = (self.positions.len() * 2).max(1_024);
        self.positions.resize(twice, 0);
        self.kinds.resize(twice, 0);
    }

    fn end(&mut self, end: u32) {
        if let Some((positions, kinds)) = self.room() {
            positions
                .iter_mut()
                .take(SENTINELS)
                .for_each(|position| *position = end);
            kinds.iter_mut().take(SENTINELS).for_each(|kind| *kind = 0);
        }
    }
}

#[cfg(test)]
mod tests;
