//! Random choices from a seed.

/// A generator of random choices: `SplitMix64` over a state of its own, so that a seed is a history on every machine.
pub trait Random {
    /// The state, which each choice changes.
    fn state(&mut self) -> &mut u64;

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let state = self.state();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(z ^ (z >> 31)) * bound as u128) >> 64) as usize
    }

    /// `true` once in so many times.
    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// The state that a seed begins with. The `salt` tells two generators apart.
pub fn state_of(seed: u64, salt: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt
}
