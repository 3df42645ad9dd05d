//! See [`fuzz::column_type`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::column_type(data));
