//! The sound of a camera within what an end says. It comes when the camera sends it and is wanted every 20 ms, so a little of it
//! waits.

use crate::camera::CameraId;
use std::collections::VecDeque;

/// What has come and was not said.
#[derive(Debug)]
pub(super) struct Live {
    camera: CameraId,
    waiting: VecDeque<i16>,
    /// Whether enough has come to begin, or begin again.
    flows: bool,
    /// Whether the camera has gone away.
    is_over: bool,
}

impl Live {
    pub(super) fn new(camera: CameraId) -> Self {
        Self { camera, waiting: VecDeque::new(), flows: false, is_over: false }
    }

    /// Takes what the camera has sent. Of more than [`MOST`] the oldest is lost.
    pub(super) fn push(&mut self, camera: CameraId, samples: &[i16]) {
        if camera != self.camera {
            return;
        }
        self.waiting.extend(samples);
        let surplus = self.waiting.len().saturating_sub(MOST);
        if surplus > 0 {
            // At once back to the usual, rather than at the limit from now on.
            self.waiting.drain(..self.waiting.len() - LEAST);
        }
        self.flows |= self.waiting.len() >= LEAST;
    }

    pub(super) fn is_of(&self, camera: CameraId) -> bool {
        camera == self.camera
    }

    pub(super) fn state(&mut self, is_up: bool) {
        self.is_over = !is_up;
    }

    /// Fills a place, with silence where nothing has come; `false`: there will be nothing more.
    pub(super) fn fill(&mut self, place: &mut [i16]) -> bool {
        if self.is_over {
            return false;
        }
        place.fill(0);
        if self.flows {
            let count = place.len().min(self.waiting.len());
            place.iter_mut().zip(self.waiting.drain(..count)).for_each(|(place, sample)| *place = sample);
            self.flows = count == place.len();
        }
        true
    }
}

/// 60 ms: so much comes before any is said.
const LEAST: usize = 960;
/// 400 ms.
const MOST: usize = 6_400;

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: CameraId = CameraId(3);

    #[test]
    fn sound_begins_when_some_waits_never_piles_up_and_ends_with_the_camera() {
        let (mut live, mut place) = (Live::new(CAMERA), [7; 320]);
        live.push(CAMERA, &[1; 320]);
        live.push(CameraId(4), &[2; 3200]);
        assert!(live.fill(&mut place) && place == [0; 320], "too little to begin");
        live.push(CAMERA, &[1; 640]);
        for _ in 0..3 {
            assert!(live.fill(&mut place) && place == [1; 320]);
        }
        assert!(live.fill(&mut place) && place == [0; 320]);
        for n in 0..100 {
            live.push(CAMERA, &[n; 320]);
        }
        let mut left = 0;
        while live.fill(&mut place) && place != [0; 320] {
            left += 320;
        }
        assert!((LEAST..=MOST).contains(&left), "{left}");
        assert!(live.is_of(CAMERA) && !live.is_of(CameraId(4)));
        live.state(false);
        assert!(!live.fill(&mut place));
        live.state(true);
        assert!(live.fill(&mut place));
    }
}
