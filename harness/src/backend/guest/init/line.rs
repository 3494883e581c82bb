//! [`Line`]: the serial line from a guest to the host.
//!
//! Invariants: frames of several threads do not mix; a line that is not there swallows what it is told, because the host
//! then hears nothing and draws its own conclusion.
//! Not here: frames (`frame`).

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};

use crate::backend::guest::frame::frame;
use crate::backend::guest::job::Event;

/// The second serial port.
const PORT: &str = "/dev/ttyS1";

/// A line to the host.
pub(super) struct Line(Mutex<Option<File>>);

impl Line {
    /// Opens the port, for bytes as they are.
    pub(super) fn open() -> Self {
        let port = File::options().read(true).write(true).open(PORT).ok();
        if let Some(port) = &port
            && let Ok(mut settings) = tcgetattr(port)
        {
            cfmakeraw(&mut settings);
            // An echo or a translated newline would only cost frames, which their checksums tell.
            let _ = tcsetattr(port, SetArg::TCSANOW, &settings);
        }
        Self(Mutex::new(port))
    }

    /// Sends an event.
    pub(super) fn tell(&self, event: &Event) {
        let text = serde_json::to_string(event).expect("events are texts and numbers");
        let mut port = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(port) = port.as_mut() {
            // Nobody listens: then nobody is told.
            let _ = port.write_all(&frame(&text));
        }
    }

    /// Waits until all was sent.
    pub(super) fn drain(&self) {
        if let Some(port) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = tcdrain(port);
        }
    }
}
