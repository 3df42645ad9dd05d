//! The scan with the instructions of x86-64 processors since 2013, and since 2019.

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m256i, __m512i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8,
    _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_set_epi64x,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_maskz_compress_epi8,
    _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_set_epi64, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_storeu_si512, _mm512_test_epi8_mask,
};

use super::Found;
use super::block::{Block, Faults, Steps, flatten};

/// The scan with 32 bytes in a register. There is a value only where the processor can do that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx2 {
    _detected: (),
}

/// The scan with 64 bytes in a register, and with positions written down sixteen at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Avx512 {
    _detected: (),
}

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let detected = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("pclmulqdq")
            && is_x86_feature_detected!("popcnt");
        detected.then_some(Self { _detected: () })
    }

    #[expect(unsafe_code, reason = "the compiler can't know what was detected")]
    pub(super) fn scan(self, text: &[u8], found: &mut Found) -> Faults {
        let Self { _detected: () } = self;
        // SAFETY: `detect` found all that `scan_avx2` is compiled for, or there would be no `self`.
        unsafe { scan_avx2(text, found) }
    }
}

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let detected = Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("avx512vbmi2");
        detected.then_some(Self { _detected: () })
    }

    #[expect(unsafe_code, reason = "the compiler can't know what was detected")]
    pub(super) fn scan(self, text: &[u8], found: &mut Found) -> Faults {
        let Self { _detected: () } = self;
        // SAFETY: `detect` found all that `scan_avx512` is compiled for, or there would be no `self`.
        unsafe { scan_avx512(text, found) }
    }
}

#[target_feature(enable = "avx2,bmi1,pclmulqdq,popcnt")]
fn scan_avx2(text: &[u8], found: &mut Found) -> Faults {
    let steps = Steps {
        classify: |chunk: &_| classify_avx2(chunk),
        prefix_xor: |bits| prefix_xor(bits),
        flatten,
    };
    steps.scan(text, found)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,pclmulqdq,popcnt")]
fn scan_avx512(text: &[u8], found: &mut Found) -> Faults {
    let steps = Steps {
        classify: |chunk: &_| classify_avx512(chunk),
        prefix_xor: |bits| prefix_xor(bits),
        flatten: |tokens, base, chunk: &_, positions: &mut _, kinds: &mut _| {
            flatten_avx512(tokens, base, chunk, positions, kinds);
        },
    };
    steps.scan(text, found)
}

#[inline]
#[target_feature(enable = "pclmulqdq")]
fn prefix_xor(bits: u64) -> u64 {
    let bits = _mm_set_epi64x(0, bits.cast_signed());
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1))).cast_unsigned()
}

/// What a byte may be by the lower half of it, and by the upper: it is what both say.
const COMMA: u8 = 1;
const COLON: u8 = 2;
const BRACKET: u8 = 4;
const SPACE: u8 = 8;
const BREAK: u8 = 16;
const BY_LOWER: [u8; 32] = twice(&[
    (0x0, SPACE),
    (0x9, BREAK),
    (0xA, COLON | BREAK),
    (0xB, BRACKET),
    (0xC, COMMA),
    (0xD, BRACKET | BREAK),
]);
const BY_UPPER: [u8; 32] = twice(&[
    (0x0, BREAK),
    (0x2, COMMA | SPACE),
    (0x3, COLON),
    (0x5, BRACKET),
    (0x7, BRACKET),
]);

const fn twice(entries: &[(usize, u8)]) -> [u8; 32] {
    let mut table = [0; 32];
    let mut entry = 0;
    while entry < entries.len() {
        let (half, kinds) = entries[entry];
        table[half] = kinds;
        table[half + 16] = kinds;
        entry += 1;
    }
    table
}

#[inline]
#[target_feature(enable = "avx2")]
fn classify_avx2(chunk: &[u8; 64]) -> Block {
    let (halves, _) = chunk.as_chunks();
    let [low, high] = [load_avx2(&halves[0]), load_avx2(&halves[1])];
    let of = |bytes: __m256i| {
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0xF));
        // Bytes from 0x80 on are nothing by the lower half: the shuffle gives 0 for them.
        let kinds = _mm256_and_si256(
            _mm256_shuffle_epi8(load_avx2(&BY_LOWER), bytes),
            _mm256_shuffle_epi8(load_avx2(&BY_UPPER), upper),
        );
        let is = |byte: u8| {
            mask(_mm256_cmpeq_epi8(
                bytes,
                _mm256_set1_epi8(byte.cast_signed()),
            ))
        };
        let is_any = |kind: u8| {
            let kinds = _mm256_and_si256(kinds, _mm256_set1_epi8(kind.cast_signed()));
            !mask(_mm256_cmpeq_epi8(kinds, _mm256_setzero_si256()))
        };
        let least = _mm256_min_epu8(bytes, _mm256_set1_epi8(0x1F));
        [
            is(b'"'),
            is(b'\\'),
            is_any(COMMA | COLON | BRACKET),
            is_any(SPACE | BREAK),
            mask(_mm256_cmpeq_epi8(least, bytes)),
        ]
    };
    let (low, high) = (of(low), of(high));
    let [quotes, backslashes, operators, spaces, controls] =
        std::array::from_fn(|kind| u64::from(low[kind]) | (u64::from(high[kind]) << 32));
    Block {
        quotes,
        backslashes,
        operators,
        spaces,
        controls,
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn mask(bytes: __m256i) -> u32 {
    _mm256_movemask_epi8(bytes).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_avx2(bytes: &[u8; 32]) -> __m256i {
    let (words, _) = bytes.as_chunks();
    let word = |number: usize| i64::from_le_bytes(words[number]);
    _mm256_set_epi64x(word(3), word(2), word(1), word(0))
}

/// What a byte below 0x80 is, by its lower six bits, and whether it is below 0x40.
const KINDS: [[u8; 64]; 2] = {
    let mut table = [[0; 64]; 2];
    table[0][b',' as usize] = COMMA;
    table[0][b':' as usize] = COLON;
    table[0][b' ' as usize] = SPACE;
    table[0][b'\t' as usize] = BREAK;
    table[0][b'\n' as usize] = BREAK;
    table[0][b'\r' as usize] = BREAK;
    table[1][b'[' as usize - 64] = BRACKET;
    table[1][b']' as usize - 64] = BRACKET;
    table[1][b'{' as usize - 64] = BRACKET;
    table[1][b'}' as usize - 64] = BRACKET;
    table
};

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn classify_avx512(chunk: &[u8; 64]) -> Block {
    let bytes = load_avx512(chunk);
    let [low, high] = KINDS;
    // Looks at seven bits of each byte.
    let kinds = _mm512_permutex2var_epi8(load_avx512(&low), bytes, load_avx512(&high));
    let ascii = !_mm512_movepi8_mask(bytes);
    let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte.cast_signed()));
    let is_any =
        |kind: u8| _mm512_test_epi8_mask(kinds, _mm512_set1_epi8(kind.cast_signed())) & ascii;
    Block {
        quotes: is(b'"'),
        backslashes: is(b'\\'),
        operators: is_any(COMMA | COLON | BRACKET),
        spaces: is_any(SPACE | BREAK),
        controls: _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20)),
    }
}

/// As [`flatten`].
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2,popcnt")]
fn flatten_avx512(
    tokens: u64,
    base: u32,
    chunk: &[u8; 64],
    positions: &mut [u32; 64],
    kinds: &mut [u8; 64],
) {
    const NUMBERS: [u8; 64] = {
        let mut numbers = [0; 64];
        let mut number = 0_u8;
        while number < 64 {
            numbers[number as usize] = number;
            number += 1;
        }
        numbers
    };
    store_avx512(
        kinds,
        _mm512_maskz_compress_epi8(tokens, load_avx512(chunk)),
    );
    let numbers = _mm512_maskz_compress_epi8(tokens, load_avx512(&NUMBERS));
    let base = _mm512_set1_epi32(base.cast_signed());
    let sum = |numbers| _mm512_add_epi32(_mm512_cvtepu8_epi32(numbers), base);
    let (places, _) = positions.as_chunks_mut::<16>();
    let count = tokens.count_ones();
    store_avx512(&mut places[0], sum(_mm512_castsi512_si128(numbers)));
    if count > 16 {
        store_avx512(&mut places[1], sum(_mm512_extracti32x4_epi32::<1>(numbers)));
        if count > 32 {
            store_avx512(&mut places[2], sum(_mm512_extracti32x4_epi32::<2>(numbers)));
            store_avx512(&mut places[3], sum(_mm512_extracti32x4_epi32::<3>(numbers)));
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_avx512(bytes: &[u8; 64]) -> __m512i {
    let (words, _) = bytes.as_chunks();
    let word = |number: usize| i64::from_le_bytes(words[number]);
    let [a, b, c, d] = [word(0), word(1), word(2), word(3)];
    _mm512_set_epi64(word(7), word(6), word(5), word(4), d, c, b, a)
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(
    unsafe_code,
    reason = "there is no other way to write a register to memory"
)]
fn store_avx512<T: Whole, const N: usize>(place: &mut [T; N], numbers: __m512i) {
    const { assert!(size_of::<[T; N]>() == 64) };
    // SAFETY: the place has 64 bytes, which may lie anywhere and hold any bits.
    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), numbers) }
}

/// A type of which every pattern of bits is a value.
trait Whole {}
impl Whole for u8 {}
impl Whole for u32 {}
