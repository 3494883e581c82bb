//! Pictures of a failing schedule: a table with a column per task for terminals, and a page with swim lanes.
//!
//! Reading order: [`lanes`] (what can be read out of the steps), with `intervals` (who holds what from when to when)
//! and [`switches`] (which changes of tasks were forced); `rows` (what is shown and what is told in one line); [`table`];
//! [`html`] with `svg`; `text` (escaping and shortening).
//!
//! Invariants: a picture is a function of the steps, the judgement and a title; nothing here prints.
//! Not here: making the steps (the engine), choosing where a picture goes (`cli`).

pub mod html;
pub mod intervals;
pub mod lanes;
mod rows;
mod svg;
pub mod switches;
pub mod table;
#[cfg(test)]
mod testing;
mod text;

use dmlab_results::TableOptions;

use self::html::Heading;
use self::lanes::Lanes;
use crate::backend::engine::TraceStep;
use crate::judge::Judgement;

/// A schedule and what it came to, ready to be shown.
#[derive(Clone, Debug)]
pub struct Picture {
    heading: Heading,
    lanes: Lanes,
    report: Option<String>,
}

/// The picture of a run with these `steps` that came to `judgement`; `plan_title` stands above it.
pub fn of(plan_title: &str, judgement: &Judgement, steps: &[TraceStep]) -> Picture {
    Picture {
        heading: Heading { title: plan_title.to_owned(), verdict: judgement.verdict.to_string(), preemptions: None },
        lanes: Lanes::of(steps, judgement.stuck.as_ref()),
        report: judgement.report.clone(),
    }
}

impl Picture {
    /// The same with the number of preemptions, where it was counted; the steps alone may know bounds only.
    #[must_use]
    pub const fn with_preemptions(mut self, count: usize) -> Self {
        self.heading.preemptions = Some(count);
        self
    }

    /// What was read out of the steps.
    pub const fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// The steps as a text table, with a newline at the end. Neither title nor report are in it.
    pub fn table(&self, options: TableOptions) -> String {
        table::table(&self.lanes, options)
    }

    /// The width in columns from which on [`Self::table`] can be read.
    pub fn readable_width(&self) -> usize {
        table::readable_width(&self.lanes)
    }

    /// A page with title, swim lanes, legend and report.
    pub fn html(&self) -> String {
        html::html(&self.lanes, &self.heading, self.report.as_deref())
    }
}
