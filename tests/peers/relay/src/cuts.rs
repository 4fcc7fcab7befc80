//! The sequence of places at which connections are cut: random to look at, the same for the same
//! seed on every machine.

use anyhow::{Result, ensure};

#[derive(Debug)]
pub(crate) struct Cuts {
    state: u64,
    min: u64,
    max: u64,
}

impl Cuts {
    pub(crate) fn new(seed: u64, min: u64, max: u64) -> Result<Cuts> {
        ensure!(min <= max, "min must not be larger than max");
        ensure!(max < u64::MAX, "max is too large");
        Ok(Cuts {
            state: seed,
            min,
            max,
        })
    }

    /// Between `min` and `max`, both included; Vigna's SplitMix64.
    pub(crate) fn next_cut(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.min + (mixed ^ (mixed >> 31)) % (self.max - self.min + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_decides_where_cuts_fall() {
        let places = |seed| {
            let mut cuts = Cuts::new(seed, 10, 1000).unwrap();
            (0..50).map(|_| cuts.next_cut()).collect::<Vec<_>>()
        };
        assert_eq!(places(3), places(3));
        assert_ne!(places(3), places(4));
        assert!(places(3).iter().all(|place| (10..=1000).contains(place)));
    }

    #[test]
    fn a_minimum_above_the_maximum_is_refused() {
        assert!(Cuts::new(1, 2, 1).is_err());
    }
}
