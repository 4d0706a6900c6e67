//! Names for requests.

use std::fmt;
use std::sync::Arc;

use kernel::{Clock, Entropy, Moment, RequestId};
use parking_lot::Mutex;

/// Makes the ids of requests. Randomness is drawn in blocks: one system call for some hundred requests.
#[derive(Clone)]
pub struct RequestIds {
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
}

impl RequestIds {
    /// Ids made of the time and of randomness.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, pool: Arc::new(Pool { entropy, block: Mutex::new(Block { bytes: [0; 4096], used: 4096 }) }) }
    }

    /// The next id.
    pub fn next(&self) -> RequestId {
        Moment::new(self.clock.now(), &*self.pool).id()
    }

    /// Ids from the same sources with a block of their own, so that cores do not wait for each other.
    #[must_use]
    pub fn separate(&self) -> Self {
        Self::new(Arc::clone(&self.clock), Arc::clone(&self.pool.entropy))
    }
}

impl fmt::Debug for RequestIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestIds").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Pool {
    entropy: Arc<dyn Entropy>,
    block: Mutex<Block>,
}

#[derive(Debug)]
struct Block {
    bytes: [u8; 4096],
    used: usize,
}

impl Entropy for Pool {
    fn fill(&self, buffer: &mut [u8]) {
        let mut block = self.block.lock();
        if block.bytes.len() - block.used < buffer.len() {
            self.entropy.fill(&mut block.bytes);
            block.used = 0;
        }
        let start = block.used;
        let Some(bytes) = block.bytes.get(start..start + buffer.len()) else {
            return self.entropy.fill(buffer);
        };
        buffer.copy_from_slice(bytes);
        block.used += buffer.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::{FixedMoment, SeededEntropy};
    use std::collections::HashSet;

    #[test]
    fn ids_differ_across_blocks() {
        let ids = RequestIds::new(Arc::new(FixedMoment::new(1)), Arc::new(SeededEntropy::new(1)));
        let made: HashSet<_> = (0..2_000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 2_000);
    }
}
