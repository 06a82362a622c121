//! Makes sound a little longer or shorter without changing its pitch: one period is played twice or left
//! out where the wave fits itself best.

use super::conceal::{fade, likeness};
use crate::{FRAME, Frame};

/// Input that [`shrink`] needs.
pub(super) const SHRINK_NEEDS: usize = FRAME + LAG_MAX;

/// Fills a frame from more sound than it holds, at least [`SHRINK_NEEDS`]. Returns how many samples were
/// left out; so many more than a frame are used up.
pub(super) fn shrink(sound: &[i16], frame: &mut Frame) -> usize {
    let lag = best_lag(sound);
    frame.copy_from_slice(&sound[lag..lag + FRAME]);
    for n in 0..JOINT {
        frame[n] = fade(sound[n], sound[lag + n], n, JOINT);
    }
    lag
}

/// Fills a frame from less sound than it holds; a frame of it must be there. Returns how many samples were
/// added; so many less than a frame are used up.
pub(super) fn stretch(sound: &[i16], frame: &mut Frame) -> usize {
    let lag = best_lag(&sound[..FRAME]);
    frame[..lag].copy_from_slice(&sound[..lag]);
    frame[lag..].copy_from_slice(&sound[..FRAME - lag]);
    for n in 0..JOINT {
        frame[lag + n] = fade(sound[lag + n], sound[n], n, JOINT);
    }
    lag
}

fn best_lag(sound: &[i16]) -> usize {
    let mut best = (f64::MIN, LAG_MIN);
    for lag in LAG_MIN..=LAG_MAX {
        let score = likeness(&sound[..TEMPLATE], &sound[lag..lag + TEMPLATE]);
        if score > best.0 {
            best = (score, lag);
        }
    }
    best.1
}

/// 400 Hz.
const LAG_MIN: usize = 20;
/// 100 Hz.
const LAG_MAX: usize = 80;
const TEMPLATE: usize = 80;
/// 5 ms.
const JOINT: usize = 40;
