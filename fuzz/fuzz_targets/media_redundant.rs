#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| offhook_media::fuzz::redundant(bytes));
