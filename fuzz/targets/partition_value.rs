//! See [`fuzz::partition_value`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::partition_value(data));
