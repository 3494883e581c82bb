//! Tests of `steps`: what a step is, and the steps that hold steps.
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

#[test]
fn tasks_run_one_step_or_a_list_of_them() {
    let Ok(Action::Parallel(tasks)) =
        step("parallel: { a: { sleep: 1ms }, b-2: [{ sleep: 2ms }, { parallel: { c: { heal: all } } }] }")
    else {
        panic!()
    };
    assert_eq!(tasks[0].0, "a");
    assert_eq!(tasks[1].1.len(), 2);
    assert_refused(
        step,
        &[
            ("parallel: {}", "x:5:15: an empty map is not a map of tasks"),
            ("parallel: [a]", "x:5:15: a list is not a map of tasks"),
            ("parallel: { A: { heal: all } }", "x:5:17: \"A\" is not the name of a task"),
            ("parallel: { a: [] }", "x:5:20: an empty list of steps does nothing"),
            ("parallel: { a: t }", "x:5:20: \"t\" is not a list of steps"),
        ],
    );
}

#[test]
fn repetition_is_counted_and_bounded() {
    let Ok(Action::Repeat { times: 20, steps }) = step("repeat: { times: 20, do: [{ sleep: 1ms }] }") else { panic!() };
    assert_eq!(steps.len(), 1);
    assert_refused(
        step,
        &[
            ("repeat: { times: 0, do: [{ heal: all }] }", "x:5:22: \"0\" is not a whole number from 1 to 1000000"),
            ("repeat: { times: 1000001, do: [{ heal: all }] }", "x:5:22: \"1000001\" is not a whole number"),
            ("repeat: { times: 1, steps: [{ heal: all }] }", "x:5:13: `do` is missing in a `repeat` step"),
        ],
    );
}
