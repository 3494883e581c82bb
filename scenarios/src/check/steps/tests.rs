//! Tests of `steps`: what a step is.
//! Not here: what other files report about the same text.

use dmlab_units::Nanos;

use super::super::testing::{assert_refused, scenario, step};
use super::*;

#[test]
fn a_step_has_one_action_and_its_line() {
    let text = "scenario: a\nabout: x\ndevices: { d: { ram: 1k } }\nsteps:\n  - sleep: 1ms\n\n  - sleep: 2ms\n";
    let steps = scenario(text).unwrap().steps;
    assert_eq!(steps[0], Step { line: 5, action: Action::Sleep(Nanos::millis(1)) });
    assert_eq!(steps[1], Step { line: 7, action: Action::Sleep(Nanos::millis(2)) });
}

#[test]
fn what_is_no_step_is_refused_with_the_steps_there_are() {
    assert_refused(
        step,
        &[
            (
                "sleeep: 1ms",
                "x:5:5: \"sleeep\" is not the key of a step, which has one (did you mean `sleep`? allowed here: create",
            ),
            ("{ sleep: 1ms, create: t }", "x:5:19: \"create\" is a second key of a step, which has one"),
            ("{ create: t, expect: EINVAL }", "x:5:18: \"expect\" is a second key of a step, which has one"),
            ("heal", "x:5:5: \"heal\" is not a step: a map with one key is wanted (did you mean `heal`?"),
            ("{}", "x:5:5: an empty map is not a step"),
            ("[sleep]", "x:5:5: a list is not a step"),
            ("sleep: 10", "x:5:12: \"10\" is not a duration"),
        ],
    );
}
