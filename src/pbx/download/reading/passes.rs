//! The passes over a recording: the number of mends, and the bytes at which passes ended on
//! purpose.
//!
//! Knows when another pass may begin, and when two ends agree. Does not know bytes, or how a pass
//! is asked for. Pure.

/// The number of times that a recording is mended.
const MAX_MENDS: u32 = 2;
/// The number of passes that may follow the first: one for each mend, and one to confirm an end
/// that no sign proves.
const MAX_FURTHER_PASSES: u32 = MAX_MENDS + 1;

/// The passes so far.
#[derive(Debug, Default)]
pub(super) struct Passes {
    further: u32,
    mends: u32,
    /// A pass broke off, and none has come to that byte again.
    is_broken: bool,
    end: Option<PassEnd>,
}

/// The byte at which a pass ended on purpose, and no sign proved that the recording ends there.
#[derive(Debug)]
struct PassEnd {
    at: u64,
    /// The recording goes on there, and this is counted among the mends already.
    is_break: bool,
}

impl Passes {
    /// Notes that a pass broke off.
    pub(super) fn break_off(&mut self) {
        self.mends += 1;
        self.is_broken = true;
    }

    /// Notes that a pass ended on purpose: `at` the furthest byte that any pass has come to, or
    /// (`None`) before it. Where the length is known, the pass ended too early.
    pub(super) fn end(&mut self, at: Option<u64>, length_is_known: bool) {
        // Before the furthest byte, or before a known length: a break, and counted at once. At the
        // furthest byte of an unknown length: the end, until a later pass goes on behind it.
        let is_break = at.is_none() || length_is_known;
        self.mends += u32::from(is_break);
        if let Some(at) = at {
            self.end = Some(PassEnd { at, is_break });
        }
    }

    /// Returns true if an earlier pass has ended on purpose at `place`.
    pub(super) fn agree_on(&self, place: u64) -> bool {
        self.end.as_ref().is_some_and(|end| end.at == place)
    }

    /// Returns true if a pass has come again to the byte where one broke off; true once.
    pub(super) fn is_past_break(&mut self) -> bool {
        std::mem::take(&mut self.is_broken)
    }

    /// Returns true if a pass that goes on behind `place` shows that an end there was a break; true
    /// once.
    pub(super) fn is_past_end(&mut self, place: u64) -> bool {
        let Some(end) = self.end.take_if(|end| end.at == place) else {
            return false;
        };
        // Counted here, unless `end` has counted it as a break already.
        self.mends += u32::from(!end.is_break);
        true
    }

    /// Returns true if passes have broken off more often than a recording may be mended.
    pub(super) fn is_mended_too_often(&self) -> bool {
        self.mends > MAX_MENDS
    }

    /// Begins another pass. Returns false if there may be none.
    pub(super) fn begin_another(&mut self) -> bool {
        if self.further == MAX_FURTHER_PASSES || self.is_mended_too_often() {
            return false;
        }
        self.further += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pass, by the way in which it ends.
    #[derive(Clone, Copy)]
    enum TrialPass {
        /// It breaks off there.
        Breaks(u64),
        /// It ends on purpose there.
        Ends(u64),
    }

    use TrialPass::{Breaks, Ends};

    /// Checks passes over a recording whose length is not known: the byte of the end, if two agree,
    /// and the number of passes.
    #[track_caller]
    fn check(passes: &[TrialPass], expected: Option<u64>, tickets: usize) {
        let (mut state, mut head, mut begun, mut agreed) = (Passes::default(), 0, 0, None);
        for pass in passes {
            begun += 1;
            let (Breaks(place) | Ends(place)) = *pass;
            if place >= head {
                state.is_past_break();
            }
            if place > head {
                if state.is_past_end(head) && state.is_mended_too_often() {
                    break;
                }
                head = place;
            }
            match pass {
                Ends(_) if place == head && state.agree_on(place) => {
                    agreed = Some(place);
                    break;
                }
                Ends(_) => state.end((place == head).then_some(head), false),
                Breaks(_) => state.break_off(),
            }
            if !state.begin_another() {
                break;
            }
        }
        assert_eq!((agreed, begun), (expected, tickets));
    }

    #[test]
    fn two_equal_ends_give_the_length_and_three_breaks_fail() {
        check(&[Ends(9), Ends(9)], Some(9), 2);
        check(&[Breaks(5), Ends(9), Ends(9)], Some(9), 3);
        check(&[Ends(5), Ends(9), Ends(9)], Some(9), 3);
        check(&[Ends(9), Breaks(5), Ends(9)], Some(9), 3);
        check(&[Ends(9), Ends(5), Ends(9)], Some(9), 3);
        check(&[Breaks(5), Breaks(6), Ends(9), Ends(9)], Some(9), 4);
        check(&[Ends(5), Ends(6), Ends(9), Ends(9)], Some(9), 4);
        check(&[Ends(9), Ends(5), Ends(6), Ends(9)], Some(9), 4);
        check(&[Ends(5), Ends(6), Ends(7), Ends(9), Ends(9)], None, 4);
        check(&[Ends(9), Ends(5), Ends(6), Ends(7), Ends(9)], None, 4);
        check(&[Breaks(5), Breaks(6), Breaks(7), Ends(9)], None, 3);
        check(&[Breaks(5), Ends(6), Ends(7), Ends(9)], None, 4);
        check(&[Breaks(9), Breaks(9), Breaks(9), Ends(9)], None, 3);
    }

    #[test]
    fn an_end_before_a_length_that_is_known_is_a_break() {
        let mut passes = Passes::default();
        for place in [5, 6, 7] {
            passes.end(Some(place), true);
            assert!(passes.is_past_end(place) && !passes.is_past_end(place));
            assert_eq!(passes.begin_another(), place < 7);
        }
    }
}
