//! What a step must end in: success, an error, or either.
//!
//! Invariant: every error that can be named is one that a backend can report.
//! Not here: comparing with what came (the harness), how it is written (`values`).

use std::fmt;

/// What a step must end in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Success.
    Ok,
    /// This error.
    Errno(Errno),
    /// Any error.
    Refused,
    /// Success or this error, where the order of events decides.
    OkOr(Errno),
    /// Success or any error.
    Any,
}

impl Outcome {
    /// Whether success will do.
    pub const fn admits_success(self) -> bool {
        matches!(self, Self::Ok | Self::OkOr(_) | Self::Any)
    }

    /// Whether this error will do.
    pub fn admits_error(self, errno: Errno) -> bool {
        match self {
            Self::Ok => false,
            Self::Errno(wanted) | Self::OkOr(wanted) => wanted == errno,
            Self::Refused | Self::Any => true,
        }
    }
}

/// In the words of a report.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("success"),
            Self::Errno(errno) => write!(f, "{errno:?}"),
            Self::Refused => f.write_str("an error"),
            Self::OkOr(errno) => write!(f, "success or {errno:?}"),
            Self::Any => f.write_str("success or an error"),
        }
    }
}

/// The error numbers that scenarios may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, clippy::upper_case_acronyms)]
pub enum Errno {
    EPERM,
    ENOENT,
    ENXIO,
    EIO,
    ENOMEM,
    EBUSY,
    EEXIST,
    ENODEV,
    EINVAL,
    ENOSPC,
    EOPNOTSUPP,
    EAGAIN,
    /// One that no scenario can name, by its number: only a real kernel answers it.
    Other(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_admits_what_its_words_say() {
        let admits = |outcome: Outcome| {
            (outcome.admits_success(), outcome.admits_error(Errno::EIO), outcome.admits_error(Errno::EBUSY))
        };
        assert_eq!(admits(Outcome::Ok), (true, false, false));
        assert_eq!(admits(Outcome::Errno(Errno::EIO)), (false, true, false));
        assert_eq!(admits(Outcome::Refused), (false, true, true));
        assert_eq!(admits(Outcome::OkOr(Errno::EIO)), (true, true, false));
        assert_eq!(admits(Outcome::Any), (true, true, true));
    }
}
