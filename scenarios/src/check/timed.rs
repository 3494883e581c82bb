//! The value of a `timed` device.
//!
//! Invariants: a device serves at least one I/O at once; a bandwidth is not 0; times are bounded, so that sums of them
//! do not overflow.
//! Not here: what the model makes of it (dmlab-engine).

use dmlab_units::{Bytes, Nanos};

use super::devices::size;
use crate::fields::{Checked, Fields};
use crate::node::Node;
use crate::sink::Sink;
use crate::{Spread, Timed, values};

const DEPTH_MAX: u32 = 1024;
/// Longer than any scenario runs.
const TIME_MAX: Nanos = Nanos::secs(3600);
const BANDWIDTH: std::ops::RangeInclusive<Bytes> = Bytes(1)..=Bytes(1 << 50);
const SPREADS: &values::Words<Spread> =
    &[("constant", Spread::Constant), ("uniform", Spread::Uniform), ("exponential", Spread::Exponential)];

pub(super) fn timed(node: &Node, sink: &mut Sink<'_>) -> Checked<Timed> {
    let mut fields = Fields::open(node, "a `timed` device", sink)?;
    let size = fields.required("size", size);
    let depth = fields.or("depth", 1, |node, sink| values::count(node, 1..=DEPTH_MAX, sink));
    let read = fields.or("read", Nanos::ZERO, time);
    let write = fields.or("write", Nanos::ZERO, time);
    let flush = fields.optional("flush", time);
    let discard = fields.or("discard", Nanos::ZERO, time);
    let bandwidth = fields.optional("bandwidth", |node, sink| values::memory(node, BANDWIDTH, sink));
    let spread = fields.or("spread", Spread::Constant, |node, sink| values::word(node, "a spread", SPREADS, sink));
    fields.finish()?;
    Some(Timed {
        size: size?,
        depth: depth?,
        read: read?,
        write: write?,
        flush: flush?,
        discard: discard?,
        bandwidth: bandwidth?,
        spread: spread?,
    })
}

fn time(node: &Node, sink: &mut Sink<'_>) -> Checked<Nanos> {
    let time = values::nanos(node, sink)?;
    if time > TIME_MAX {
        sink.wanted(node, "a duration of at most an hour");
        return None;
    }
    Some(time)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_refused, devices};
    use super::*;
    use crate::DeviceKind;

    fn device(text: &str) -> Result<Timed, String> {
        match devices(&format!("{{ d: {{ timed: {text} }} }}"))?.devices.remove(0).kind {
            DeviceKind::Timed(timed) => Ok(timed),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn all_but_the_size_has_a_default() {
        let plain = device("{ size: 64KiB }").unwrap();
        let none = Nanos::ZERO;
        let wanted = Timed {
            size: Bytes::kib(64),
            depth: 1,
            read: none,
            write: none,
            flush: None,
            discard: none,
            bandwidth: None,
            spread: Spread::Constant,
        };
        assert_eq!(plain, wanted);
        let text = "{ size: 1m, depth: 32, read: 80us, write: 20us, flush: 1ms, discard: 5us, bandwidth: 3g, \
            spread: exponential }";
        let full = device(text).unwrap();
        let (depth, flush, bandwidth) = (32, Some(Nanos::millis(1)), Some(Bytes(3 << 30)));
        let (size, read, write) = (Bytes::mib(1), Nanos(80_000), Nanos(20_000));
        let (discard, spread) = (Nanos(5_000), Spread::Exponential);
        assert_eq!(full, Timed { size, depth, read, write, flush, discard, bandwidth, spread });
    }

    #[test]
    fn what_no_device_is_like_is_refused() {
        assert_refused(
            device,
            &[
                ("64KiB", "x:3:26: \"64KiB\" is not a `timed` device: a map of `key: value` is wanted"),
                ("{ depth: 1 }", "x:3:26: `size` is missing in a `timed` device"),
                ("{ size: 64KiB, depth: 0 }", "x:3:48: \"0\" is not a whole number from 1 to 1024"),
                ("{ size: 64KiB, read: 80 }", "x:3:47: \"80\" is not a duration"),
                ("{ size: 64KiB, read: 61m }", "x:3:47: \"61m\" is not a duration of at most an hour"),
                ("{ size: 64KiB, bandwidth: 0 }", "x:3:52: \"0\" is not a size from 1 to 1024TiB"),
                ("{ size: 64KiB, spread: normal }", "x:3:49: \"normal\" is not a spread"),
                (
                    "{ size: 64KiB, dept: 2 }",
                    "x:3:41: \"dept\" is not a key of a `timed` device (did you mean `depth`?",
                ),
            ],
        );
    }
}
