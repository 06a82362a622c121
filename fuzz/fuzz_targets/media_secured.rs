#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| offhook_media::fuzz::secured(Instant::now(), bytes));
