//! What is done with a schedule that told: made smaller, saved, drawn, and put into a table.
//!
//! Invariants: no file that is there is replaced; what is saved was performed and failed as the record says; a complaint
//! about a file never loses the record.
//! Not here: finding it (`campaign`), making it smaller (`minimise`), what tables and pages look like (`picture`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use dmlab_results::{Strength, TableOptions, create_new};

use super::output::Output;
use crate::campaign::CellRun;
use crate::minimise::{self, MinimalSchedule};
use crate::picture;
use crate::plan::Plan;
use crate::schedule_file::ScheduleFile;

/// Which schedules of the explorer are kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Save {
    /// Those that were not expected to fail.
    Unexpected,
    /// Every failing one.
    All,
}

/// What is to be done with schedules that tell.
pub(super) struct Keep<'a> {
    /// Which.
    pub(super) save: Save,
    /// Where they are saved.
    pub(super) folder: &'a Path,
    /// Where the first is drawn.
    pub(super) page: Option<PathBuf>,
}

impl Keep<'_> {
    /// Keeps the schedule of `run`, if it is one to keep; its steps as text.
    pub(super) fn keep(
        &mut self,
        plan: &Plan,
        run: &mut CellRun,
        output: &Output,
        interrupt: &Arc<AtomicBool>,
    ) -> Option<String> {
        let steps = run.schedule.as_ref()?;
        if run.record.ok && self.save == Save::Unexpected {
            return None;
        }
        let smaller = || minimise::minimise(plan, steps, &run.judgement, minimise::Budget::default(), interrupt);
        let minimal = if plan.explore.minimise { smaller() } else { None };
        if let (Some(minimal), Some(exploration)) = (&minimal, &mut run.record.exploration)
            && let Strength::Found { preemptions, .. } = &mut exploration.strength
        {
            *preemptions = Some(u32::try_from(minimal.preemptions).unwrap_or(u32::MAX));
        }
        let file = match &minimal {
            Some(minimal) => ScheduleFile::of_minimal(minimal),
            None => ScheduleFile::new(plan, &run.judgement, steps),
        };
        match save(self.folder, &file) {
            Ok(path) => run.record.trace_file = Some(path),
            Err(error) => output.note(&format!("the failing schedule could not be saved: {error}")),
        }
        let title = format!("{}, seed {}", plan.title(), plan.seed.0);
        let (judgement, trace) = match &minimal {
            Some(minimal) => (&minimal.judgement, &minimal.trace),
            None => (&run.judgement, steps),
        };
        let mut picture = picture::of(&title, judgement, trace);
        if let Some(minimal) = &minimal {
            picture = picture.with_preemptions(minimal.preemptions as usize);
        }
        if let Some(page) = self.page.take() {
            draw(&page, &picture.html(), output);
        }
        let table = picture.table(TableOptions { color: output.out_color(), width: Output::width() });
        Some(minimal.map_or_else(String::new, |minimal| in_words(&minimal)) + &table)
    }
}

fn save(folder: &Path, file: &ScheduleFile) -> Result<String, String> {
    let path = folder.join(file.suggested_name());
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = create_new(&path, file.to_json().as_bytes()).map_err(|error| error.to_string())?;
    Ok(path.display().to_string())
}

fn draw(page: &Path, html: &str, output: &Output) {
    if page == Path::new("-") {
        return output.print(html);
    }
    match create_new(page, html.as_bytes()) {
        Ok(path) => output.note(&format!("drawn in {}", path.display())),
        Err(error) => output.note(&format!("the schedule could not be drawn: {error}")),
    }
}

/// What the minimiser has done.
fn in_words(minimal: &MinimalSchedule) -> String {
    let MinimalSchedule { preemptions, steps, from_steps, from_preemptions, tries, .. } = minimal;
    let mut text = format!(
        "the smallest schedule found that fails like this: {preemptions} preemption(s), {steps} steps \
         (found with {from_preemptions} and {from_steps}; {tries} tries)\n"
    );
    if !minimal.edits.is_empty() {
        text.push_str("of a smaller workload:\n");
        minimal.edits.iter().for_each(|edit| text.push_str(&format!("  {edit}\n")));
    }
    text
}
