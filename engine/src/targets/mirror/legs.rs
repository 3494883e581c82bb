//! [`Legs`]: which legs of a mirror have failed, how, and which one is the default.
//!
//! Invariants: the default changes only to a leg without any error, and only where errors are handled and the mirror is
//! in sync (or `keep_log` says not to mind).
//! Not here: the devices.

/// `enum dm_raid1_error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegError {
    Write,
    Flush,
    Sync,
    Read,
}

#[derive(Clone, Copy, Default)]
struct Health {
    error_count: u32,
    /// A bit for each [`LegError`].
    error_type: u8,
}

impl Health {
    const fn has(self, error: LegError) -> bool {
        self.error_type & 1 << error as u8 != 0
    }

    /// `device_status_char`: the gravest failure so far.
    const fn letter(self) -> char {
        if self.error_count == 0 {
            'A'
        } else if self.has(LegError::Flush) {
            'F'
        } else if self.has(LegError::Write) {
            'D'
        } else if self.has(LegError::Sync) {
            'S'
        } else if self.has(LegError::Read) {
            'R'
        } else {
            'U'
        }
    }
}

/// What the failure of a leg comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing new.
    Known,
    /// User space is to be told.
    Event,
    /// Likewise; and the default leg failed while others may not have its data.
    PrimaryOutOfSync,
    /// Likewise; and there is no leg left.
    NoneLeft,
}

/// The legs of a mirror.
pub(super) struct Legs {
    health: Vec<Health>,
    default: usize,
    handle_errors: bool,
    keep_log: bool,
    /// Every region has been in sync, and no write has failed since.
    pub in_sync: bool,
    /// Some leg has failed since.
    pub leg_failure: bool,
}

impl Legs {
    pub(super) fn new(legs: usize, handle_errors: bool, keep_log: bool) -> Self {
        let health = vec![Health::default(); legs];
        Self { health, default: 0, handle_errors, keep_log, in_sync: false, leg_failure: false }
    }

    pub(super) const fn default_leg(&self) -> usize {
        self.default
    }

    pub(super) fn has_failed(&self, leg: usize) -> bool {
        self.health[leg].error_count > 0
    }

    /// `get_valid_mirror`.
    pub(super) fn valid(&self) -> Option<usize> {
        (0..self.health.len()).find(|&leg| !self.has_failed(leg))
    }

    /// `choose_mirror`: the default leg, or the next one below it that has not failed.
    pub(super) fn choose(&self) -> Option<usize> {
        let legs = self.health.len();
        (0..legs).map(|back| (self.default + legs - back) % legs).find(|&leg| !self.has_failed(leg))
    }

    /// `fail_mirror`.
    pub(super) fn fail(&mut self, leg: usize, error: LegError) -> Failed {
        self.leg_failure = true;
        let health = &mut self.health[leg];
        health.error_count = health.error_count.saturating_add(1);
        let known = health.has(error);
        health.error_type |= 1 << error as u8;
        if known || !self.handle_errors {
            return Failed::Known;
        }
        if leg != self.default {
            return Failed::Event;
        }
        if !self.in_sync && !self.keep_log {
            // Better the failing leg than one that may have old data.
            return Failed::PrimaryOutOfSync;
        }
        match self.valid() {
            Some(new) => {
                self.default = new;
                Failed::Event
            }
            None => Failed::NoneLeft,
        }
    }

    /// `reset_ms_flags`: all regions are in sync again.
    pub(super) fn reset(&mut self) {
        self.leg_failure = false;
        self.health.fill(Health::default());
    }

    pub(super) fn letters(&self) -> String {
        self.health.iter().map(|health| health.letter()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_failure_is_the_letter() {
        let mut legs = Legs::new(2, true, false);
        let mut seen = vec![legs.letters()];
        for error in [LegError::Read, LegError::Sync, LegError::Write, LegError::Flush, LegError::Read] {
            legs.fail(1, error);
            seen.push(legs.letters());
        }
        assert_eq!(seen, ["AA", "AR", "AS", "AD", "AF", "AF"]);
        legs.reset();
        assert_eq!(legs.letters(), "AA");
    }

    #[test]
    fn the_default_moves_to_a_leg_that_works_once_the_mirror_is_in_sync() {
        let mut legs = Legs::new(3, true, false);
        assert_eq!(legs.fail(0, LegError::Write), Failed::PrimaryOutOfSync);
        assert_eq!((legs.default_leg(), legs.choose()), (0, Some(2)), "the next below the default");
        legs.in_sync = true;
        assert_eq!(legs.fail(0, LegError::Write), Failed::Known);
        assert_eq!(legs.fail(0, LegError::Read), Failed::Event);
        assert_eq!(legs.default_leg(), 1);
        assert_eq!(legs.fail(2, LegError::Read), Failed::Event);
        assert_eq!(legs.choose(), Some(1));
        assert_eq!(legs.fail(1, LegError::Read), Failed::NoneLeft);
        assert_eq!((legs.choose(), legs.valid(), legs.default_leg()), (None, None, 1));
    }

    #[test]
    fn without_handle_errors_nobody_is_told_and_with_keep_log_the_default_moves_at_once() {
        let mut legs = Legs::new(2, false, false);
        assert_eq!(legs.fail(0, LegError::Write), Failed::Known);
        assert_eq!((legs.letters().as_str(), legs.default_leg()), ("DA", 0));
        let mut legs = Legs::new(2, true, true);
        assert_eq!(legs.fail(0, LegError::Write), Failed::Event);
        assert_eq!(legs.default_leg(), 1);
    }
}
