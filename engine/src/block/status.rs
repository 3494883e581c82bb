//! [`BlkStatus`]: the kernel's `blk_status_t`: how a bio ended.
//!
//! Invariant: `Ok` is the only success; the error numbers are those of `blk_status_to_errno`.

/// How a bio ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlkStatus {
    /// All of it was done.
    #[default]
    Ok,
    /// Some of it failed (`BLK_STS_IOERR`, -EIO).
    IoErr,
    /// The device cannot do such things (`BLK_STS_NOTSUPP`, -EOPNOTSUPP).
    NotSupp,
    /// No space (`BLK_STS_NOSPC`, -ENOSPC).
    NoSpc,
    /// No memory or other resource at this moment (`BLK_STS_RESOURCE`, -ENOMEM).
    Resource,
    /// Would have to wait (`BLK_STS_AGAIN`, -EAGAIN).
    Again,
    /// dm pushes it back to be mapped anew (`BLK_STS_DM_REQUEUE`).
    DmRequeue,
}

impl BlkStatus {
    /// Whether all was done.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok)
    }

    /// The name of the error number that user space sees, or `None` for success.
    pub const fn errno_name(self) -> Option<&'static str> {
        match self {
            Self::Ok => None,
            Self::IoErr | Self::DmRequeue => Some("EIO"),
            Self::NotSupp => Some("EOPNOTSUPP"),
            Self::NoSpc => Some("ENOSPC"),
            Self::Resource => Some("ENOMEM"),
            Self::Again => Some("EAGAIN"),
        }
    }
}
