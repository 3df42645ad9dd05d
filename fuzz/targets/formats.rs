//! See [`fuzz::formats`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::formats(data));
