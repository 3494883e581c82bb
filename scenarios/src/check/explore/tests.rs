//! Tests of `explore`.
//! Not here: what other files report about the same text.

use super::super::testing::{assert_refused, scenario};
use super::*;
use crate::Scenario;

fn with(lines: &str) -> Result<Scenario, String> {
    scenario(&format!("scenario: a\nabout: x\ndevices: {{ d: {{ ram: 1k }} }}\nsteps: [{{ sleep: 0 }}]\n{lines}\n"))
}

#[test]
fn what_is_left_out_of_a_search_has_its_default() {
    for text in ["", "explore: {}"] {
        let found = with(text).unwrap();
        let wanted = Explore {
            schedules: 1000,
            strategy: Strategy::Portfolio,
            bound: None,
            timers: Timers::WhenIdle,
            cache: Bytes(256 << 20),
            runs: 1_000_000,
        };
        assert_eq!((found.explore, found.steps_max), (wanted, 20_000), "{text:?}");
    }
}

#[test]
fn everything_about_a_search_can_be_said() {
    let text = "explore: { schedules: 5, strategy: icb, bound: 2, timers: any, cache: 64MiB, runs: 7_000, steps: 9 }";
    let found = with(text).unwrap();
    let wanted = Explore {
        schedules: 5,
        strategy: Strategy::Icb,
        bound: Some(2),
        timers: Timers::Any,
        cache: Bytes(64 << 20),
        runs: 7000,
    };
    assert_eq!((found.explore, found.steps_max), (wanted, 9));
    assert_eq!(with("explore: { strategy: icb, bound: 0 }").unwrap().explore.bound, Some(0));
    assert_eq!(with("explore: { strategy: icb }").unwrap().explore.bound, None);
}

#[test]
fn every_strategy_is_read_by_its_name() {
    for strategy in Strategy::ALL {
        let found = with(&format!("explore: {{ strategy: {} }}", strategy.name())).unwrap();
        assert_eq!(found.explore.strategy, strategy);
    }
}

#[test]
fn searches_that_make_no_sense_are_refused() {
    assert_refused(
        with,
        &[
            (
                "explore: { strategy: exhaustiv }",
                "x:5:22: \"exhaustiv\" is not a strategy (did you mean `exhaustive`? allowed here: portfolio, random, \
                 pct, pos, urw, exhaustive, icb)",
            ),
            (
                "explore: { strategy: exhaustive, bound: 2 }",
                "x:5:41: `bound` counts preemptions, which the strategy `exhaustive` does not bound (write `strategy: \
                 icb`, or leave `bound` out)",
            ),
            ("explore: { bound: 2 }", "x:5:19: `bound` counts preemptions, which the strategy `portfolio`"),
            ("explore: { strategy: icb, bound: -1 }", "x:5:34: \"-1\" is not a whole number from 0 to 1000"),
            ("explore: { timers: idle }", "x:5:20: \"idle\" is not a time at which timers may fire (allowed here"),
            ("explore: { timers: when_idle }", "x:5:20: \"when_idle\" is not a time at which timers may fire (did"),
            ("explore: { cache: 4k }", "x:5:19: \"4k\" is not a size from 1MiB to 1TiB"),
            ("explore: { cache: much }", "x:5:19: \"much\" is not a size"),
            ("explore: { runs: 0 }", "x:5:18: \"0\" is not a whole number from 1 to 1000000000"),
            ("explore: { stratgy: pct }", "x:5:12: \"stratgy\" is not a key of `explore` (did you mean `strategy`?"),
        ],
    );
}
