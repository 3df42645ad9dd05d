//! See [`fuzz::bound`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::bound(data));
