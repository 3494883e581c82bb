//! An rw_semaphore and a semaphore out of a mutex and a condition variable, for shuttle and for loom.
//!
//! Invariants: a waiting writer bars later readers, as in the kernel. Unlike there, nobody is handed anything: who is
//! woken looks again, so an operation is two to four scheduling points. This is what a model costs in an engine that
//! brings no wait queues of its own.

use super::model::Engine;

macro_rules! emulated {
    ($(#[$doc:meta])* $Engine:ident, $peer:ident, $module:ident) => {
        $(#[$doc])*
        pub(crate) struct $Engine;

        mod $module {
            use ::$peer::sync::{Condvar, Mutex};

            #[derive(Default)]
            struct Holds {
                readers: u32,
                writing: bool,
                writers_waiting: u32,
            }

            /// Who holds the lock, and who is told when that changes.
            pub(crate) struct RwSem {
                holds: Mutex<Holds>,
                changed: Condvar,
            }

            impl RwSem {
                pub(super) fn new() -> Self {
                    Self { holds: Mutex::new(Holds::default()), changed: Condvar::new() }
                }

                pub(super) fn down_read(&self) {
                    let mut holds = self.holds.lock().expect("no panic under it");
                    while holds.writing || holds.writers_waiting > 0 {
                        holds = self.changed.wait(holds).expect("no panic under it");
                    }
                    holds.readers += 1;
                }

                pub(super) fn up_read(&self) {
                    let mut holds = self.holds.lock().expect("no panic under it");
                    holds.readers -= 1;
                    if holds.readers == 0 {
                        self.changed.notify_all();
                    }
                }

                pub(super) fn down_write(&self) {
                    let mut holds = self.holds.lock().expect("no panic under it");
                    holds.writers_waiting += 1;
                    while holds.writing || holds.readers > 0 {
                        holds = self.changed.wait(holds).expect("no panic under it");
                    }
                    holds.writers_waiting -= 1;
                    holds.writing = true;
                }

                pub(super) fn up_write(&self) {
                    self.holds.lock().expect("no panic under it").writing = false;
                    self.changed.notify_all();
                }
            }

            /// The units left, and who is told of a new one.
            pub(crate) struct Semaphore {
                left: Mutex<u32>,
                given: Condvar,
            }

            impl Semaphore {
                pub(super) fn new(units: u32) -> Self {
                    Self { left: Mutex::new(units), given: Condvar::new() }
                }

                pub(super) fn down(&self) {
                    let mut left = self.left.lock().expect("no panic under it");
                    while *left == 0 {
                        left = self.given.wait(left).expect("no panic under it");
                    }
                    *left -= 1;
                }

                pub(super) fn up(&self) {
                    *self.left.lock().expect("no panic under it") += 1;
                    self.given.notify_one();
                }
            }
        }

        impl Engine for $Engine {
            type Current = ();
            type RwSem = $module::RwSem;
            type Semaphore = $module::Semaphore;

            fn rw_sem(_current: &(), _name: &'static str) -> Self::RwSem {
                Self::RwSem::new()
            }

            fn semaphore(_current: &(), _name: &'static str, units: u32) -> Self::Semaphore {
                Self::Semaphore::new(units)
            }

            fn spawn(_current: &(), _name: &'static str, body: impl FnOnce(&()) + Send + 'static) {
                drop(::$peer::thread::spawn(move || body(&())));
            }

            fn read(_current: &(), lock: &Self::RwSem, inside: impl FnOnce()) {
                lock.down_read();
                inside();
                lock.up_read();
            }

            fn write(_current: &(), lock: &Self::RwSem) {
                lock.down_write();
                lock.up_write();
            }

            fn down(_current: &(), semaphore: &Self::Semaphore) {
                semaphore.down();
            }

            fn up(_current: &(), semaphore: &Self::Semaphore) {
                semaphore.up();
            }
        }
    };
}

emulated! {
    /// shuttle, primitives emulated.
    ShuttleCv, shuttle, for_shuttle
}

emulated! {
    /// loom, primitives emulated.
    LoomCv, loom, for_loom
}
