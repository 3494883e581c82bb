//! error 1.7.0: everything fails with -EIO.
//!
//! Invariant: no bio reaches a device. Its arguments, if any, are ignored here (the kernel takes limits from them).

use std::sync::Arc;

use dmlab_units::Sectors;

use crate::block::{Bio, Device};
use crate::dm::target::CtrError;
use crate::dm::{Mapped, Target, TargetArgs, TargetRange, TargetType};
use crate::sched::Task;

pub(super) static TYPE: TargetType = TargetType { name: "error", version: [1, 7, 0], ctr };

struct ErrorTarget;

#[allow(clippy::unnecessary_wraps)] // the signature is every constructor's
fn ctr(_current: &Task, _args: &mut TargetArgs<'_>) -> Result<Box<dyn Target>, CtrError> {
    Ok(Box::new(ErrorTarget))
}

impl Target for ErrorTarget {
    fn map(&self, current: &Task, _range: &TargetRange, bio: Bio) -> Mapped {
        let _frame = current.enter("io_err_map");
        Mapped::Kill(bio)
    }

    fn devices(&self, _range: &TargetRange) -> Vec<(Arc<Device>, Sectors, Sectors)> {
        Vec::new()
    }

    fn status(&self) -> String {
        String::new()
    }

    fn table(&self) -> String {
        String::new()
    }
}
