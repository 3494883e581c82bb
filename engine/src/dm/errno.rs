//! [`Errno`]: the error numbers that dm's ioctls and constructors return.
//!
//! Invariant: the names are those of errno.h; nothing here carries a message (dm puts it into the kernel log).

use std::fmt;

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Errno {
    EBUSY,
    EINVAL,
    EIO,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENXIO,
}

impl Errno {
    /// As in errno.h.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EBUSY => "EBUSY",
            Self::EINVAL => "EINVAL",
            Self::EIO => "EIO",
            Self::ENODEV => "ENODEV",
            Self::ENOENT => "ENOENT",
            Self::ENOMEM => "ENOMEM",
            Self::ENXIO => "ENXIO",
        }
    }

    /// As a positive number, on all architectures that use the generic table.
    pub const fn number(self) -> u32 {
        match self {
            Self::ENOENT => 2,
            Self::EIO => 5,
            Self::ENXIO => 6,
            Self::ENOMEM => 12,
            Self::EBUSY => 16,
            Self::ENODEV => 19,
            Self::EINVAL => 22,
        }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
