//! Tests of `flow`: steps that hold steps, and waiting.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, scenario, step};
use super::*;

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

/// The steps of a list that begins in line 5.
fn steps_of(list: &str) -> Result<Vec<Step>, String> {
    Ok(scenario(&format!("scenario: a\nabout: x\ndevices: {{ d: {{ ram: 1k }} }}\nsteps:\n{list}"))?.steps)
}

#[test]
fn background_tasks_are_joined_by_name_or_all_together() {
    let list = "  - background: { a: { sleep: 1ms }, b: { sleep: 1ms } }\n  - join: a\n  \
                - background: { a: { sleep: 0 } }\n  - join: all\n";
    let steps = steps_of(list).unwrap();
    assert!(matches!(&steps[0].action, Action::Background(tasks) if tasks.len() == 2));
    assert_eq!(steps[1].action, Action::Join(vec!["a".to_owned()]));
    assert_eq!(steps[3].action, Action::Join(Vec::new()));
    assert_refused(
        steps_of,
        &[
            ("  - join: a\n", "x:5:11: no background task \"a\" is under way here"),
            ("  - join: all\n", "x:5:11: no background task is under way here, so there is none to join"),
            ("  - join: []\n", "x:5:11: no task is named; write `all`"),
            (
                "  - background: { a: { sleep: 0 } }\n  - join: [a, a]\n",
                "x:6:11: no background task \"a\" is under way here (under way: nothing; a task is joined in the list",
            ),
            (
                "  - background: { a: { sleep: 0 } }\n  - background: { a: { sleep: 0 } }\n",
                "x:6:5: a background task \"a\" is under way already in this list",
            ),
            (
                "  - background: { a: { sleep: 0 } }\n  - repeat: { times: 2, do: { join: a } }\n",
                "x:6:37: no background task \"a\" is under way here",
            ),
            ("  - background: { a: { join: a } }\n", "x:5:30: no background task \"a\" is under way here"),
        ],
    );
}

#[test]
fn repetition_is_counted_or_timed_and_always_bounded() {
    let repeat = |text: &str| match step(text) {
        Ok(Action::Repeat(repeat)) => repeat,
        other => panic!("{other:?}"),
    };
    let counted = repeat("repeat: { times: 20, do: [{ sleep: 1ms }] }");
    assert_eq!((counted.times, counted.during, counted.every, counted.jitter), (Some(20), None, None, Nanos::ZERO));
    let timed = repeat("repeat: { for: 1s, every: 10ms, jitter: 3ms, do: { sleep: 1ms } }");
    assert_eq!((timed.times, timed.during, timed.every), (None, Some(Nanos::secs(1)), Some(Nanos::millis(10))));
    assert_eq!((timed.jitter, timed.steps.len()), (Nanos::millis(3), 1));
    assert_refused(
        step,
        &[
            ("repeat: { times: 0, do: [{ heal: all }] }", "x:5:22: \"0\" is not a whole number from 1 to 1000000"),
            ("repeat: { times: 1000001, do: [{ heal: all }] }", "x:5:22: \"1000001\" is not a whole number"),
            ("repeat: { times: 1, steps: [{ heal: all }] }", "x:5:13: `do` is missing in a `repeat` step"),
            ("repeat: { do: { heal: all } }", "x:5:13: a `repeat` step without an end (say how often with `times`"),
            (
                "repeat: { for: 1s, do: { heal: all } }",
                "x:5:20: `for` alone would not end where nothing in a pass takes",
            ),
            (
                "repeat: { for: 1s, every: 1us, do: { heal: all } }",
                "x:5:31: 1s every 1us is more than the 1000000 passes",
            ),
            (
                "repeat: { times: 2, jitter: 1us, do: { heal: all } }",
                "x:5:33: `jitter` is a part of `every`, which is not",
            ),
            (
                "repeat: { times: 2, every: 1us, jitter: 2us, do: { heal: all } }",
                "x:5:45: a jitter of 2us is longer than the 1us between passes",
            ),
            ("repeat: { times: 2, evry: 1us, do: { heal: all } }", "x:5:25: \"evry\" is not a key of a `repeat` step"),
        ],
    );
}

#[test]
fn steps_that_must_block_say_how_long() {
    let Ok(Action::MustBlock(block)) = step("must_block: { min: 1ms, max: 2s, do: { sleep: 1ms } }") else { panic!() };
    assert_eq!((block.min, block.max, block.steps.len()), (Some(Nanos::millis(1)), Some(Nanos::secs(2)), 1));
    assert_refused(
        step,
        &[
            (
                "must_block: { do: { heal: all } }",
                "x:5:17: a `must_block` step without `min` and `max` demands nothing",
            ),
            ("must_block: { min: 2s, max: 1s, do: { heal: all } }", "x:5:33: at least 2s and at most 1s: nothing can"),
            ("must_block: { min: 0, do: { heal: all } }", "x:5:24: \"0\" is not a duration above 0"),
            ("must_block: { min: 1s }", "x:5:17: `do` is missing in a `must_block` step"),
        ],
    );
}

#[test]
fn a_wait_has_one_condition_and_a_deadline() {
    let Ok(Action::Wait(wait)) = step("wait: { status: { of: t, matches: linear }, within: 1s }") else { panic!() };
    assert_eq!((wait.within, wait.every), (Nanos::secs(1), POLL_EVERY));
    assert!(matches!(wait.condition, Condition::Status(_)));
    let Ok(Action::Wait(wait)) = step("wait: { table: { of: t, expect: ENXIO }, within: 1s, every: 2ms }") else {
        panic!()
    };
    assert!(matches!(wait.condition, Condition::Table(_)) && wait.every == Nanos::millis(2));
    assert_refused(
        step,
        &[
            ("wait: { within: 1s }", "x:5:11: a `wait` step waits for one of status and table; here is none"),
            (
                "wait: { status: { of: t, matches: a }, table: { of: t, matches: a }, within: 1s }",
                "x:5:11: a `wait` step waits for one of status and table; here is both",
            ),
            ("wait: { status: { of: t, matches: a } }", "x:5:11: `within` is missing in a `wait` step"),
            ("wait: { status: { of: d, matches: a }, within: 1s }", "x:5:27: \"d\" is a leaf device; only dm"),
            ("wait: { status: { of: t, matches: a }, within: 1h, every: 1ns }", "x:5:52: \"1h\" is not"),
            (
                "wait: { status: { of: t, matches: a }, within: 60m, every: 1us }",
                "x:5:64: 3600s every 1us is more than the 1000000 looks allowed",
            ),
        ],
    );
}
