#![no_main]

use std::sync::LazyLock;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;

/// One moment for all, so that the same bytes always do the same.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

fuzz_target!(|bytes: &[u8]| offhook_media::turn::fuzz::receive(*NOW, bytes));
