//! Counting the frames of HTTP/2 that cost the server more than the client.

use std::time::Duration;

use tokio::time::Instant;

/// What a client of HTTP/2 sends first (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The last words to a client that floods: GOAWAY with `ENHANCE_YOUR_CALM`.
pub(super) const CALM: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0b";

const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// Follows the frames of one direction and allows only so many that are neither request, nor body, nor window: a
/// bucket of `size` that refills within ten seconds. The protocol library bounds header blocks and resets itself, but
/// answers any number of pings and settings.
#[derive(Debug)]
pub(super) struct Meter {
    header: [u8; HEADER],
    filled: usize,
    payload: usize,
    size: u32,
    left: u32,
    refilled: Instant,
}

/// More control frames than any client needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flood;

impl Meter {
    /// A bucket of `size` frames, full.
    pub(super) fn new(size: u32) -> Self {
        Self { header: [0; HEADER], filled: 0, payload: 0, size, left: size, refilled: Instant::now() }
    }

    /// Looks at the next bytes.
    pub(super) fn look(&mut self, mut bytes: &[u8]) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            let (_, rest) = bytes.split_at(skipped);
            let taken = rest.len().min(HEADER - self.filled);
            let (head, rest) = rest.split_at(taken);
            for (place, byte) in self.header.iter_mut().skip(self.filled).zip(head) {
                *place = *byte;
            }
            self.filled += taken;
            bytes = rest;
            if self.filled == HEADER {
                self.frame()?;
            }
        }
        Ok(())
    }

    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.filled = 0;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let free = match kind {
            DATA => self.payload > 0 || flags & END_STREAM != 0,
            HEADERS | WINDOW_UPDATE => true,
            CONTINUATION => self.payload > 0,
            _ => false,
        };
        if free { Ok(()) } else { self.take() }
    }

    fn take(&mut self) -> Result<(), Flood> {
        if self.left == 0 {
            self.refill();
        }
        self.left = self.left.checked_sub(1).ok_or(Flood)?;
        Ok(())
    }

    fn refill(&mut self) {
        let elapsed = self.refilled.elapsed().min(Duration::from_secs(10)).as_millis();
        let earned = u128::from(self.size) * elapsed / 10_000;
        if earned > 0 {
            self.left = u32::try_from(earned).unwrap_or(self.size);
            self.refilled = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[tokio::test(start_paused = true)]
    async fn pings_are_counted_however_they_are_cut() {
        for size in [1, 2, 7, 9, 10, 17, 1_000] {
            let mut meter = Meter::new(5);
            let pings = frame(6, 0, &[6; 8]).repeat(5);
            for part in pings.chunks(size) {
                assert_eq!(meter.look(part), Ok(()), "parts of {size}");
            }
            assert_eq!(meter.look(&pings), Err(Flood), "parts of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn requests_bodies_and_windows_are_free() {
        let mut meter = Meter::new(0);
        for free in [frame(1, 4, &[1; 40]), frame(0, 0, &[0; 255]), frame(0, 1, &[]), frame(8, 0, &[0, 0, 1, 0])] {
            assert_eq!(meter.look(&free.repeat(100)), Ok(()));
        }
        for counted in [frame(0, 0, &[]), frame(9, 0, &[]), frame(3, 0, &[0; 4]), frame(4, 0, &[]), frame(77, 0, &[])] {
            assert_eq!(Meter::new(0).look(&counted), Err(Flood));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_trickle_of_pings_is_welcome() {
        let mut meter = Meter::new(100);
        for _ in 0..10_000 {
            assert_eq!(meter.look(&frame(6, 0, &[0; 8])), Ok(()));
            tokio::time::advance(Duration::from_millis(150)).await;
        }
    }
}
