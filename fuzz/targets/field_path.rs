//! See [`fuzz::field_path`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::field_path(data));
