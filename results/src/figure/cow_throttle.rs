//! [`CowThrottle`]: what a throttle of copies saves: the headline of 721b1d98fb51, measured in virtual time, next to the
//! figures that its commit message gives.
//!
//! Invariants: every number of the page is one of the rows', made of them by the sums that the page states, or the commit
//! message's; the page says what is not reproduced.
//! Not here: measuring (harness), drawing (`chart`).

use std::fmt::Write as _;

use super::chart::{Line, Panel, svg};

/// What was measured, and how.
#[derive(Debug)]
pub struct CowThrottle {
    /// The command that makes page and picture.
    pub command: &'static str,
    /// Numbers of snapshots of the one origin.
    pub snapshots: Vec<u64>,
    /// Tasks that write to the origin.
    pub writers: u64,
    /// `snapshot_cow_threshold`.
    pub threshold: u64,
    /// The disks: one I/O at a time, and what a read and a write take.
    pub disks: &'static str,
    /// What things weigh.
    pub sizes: Sizes,
    /// A line of each panel.
    pub series: Vec<Series>,
    /// The scenario that was run.
    pub scenario: String,
}

/// Bytes of what copies hold, and where the numbers are from.
#[derive(Debug)]
pub struct Sizes {
    /// An object of the slab `kcopyd_job`.
    pub job: u64,
    /// An object of the slab `dm_snap_pending_exception`.
    pub pending: u64,
    /// A page.
    pub page: u64,
}

/// One variant over all numbers of snapshots.
#[derive(Debug)]
pub struct Series {
    /// `cow_throttle`, and what is special about it.
    pub name: String,
    /// In the picture.
    pub color: &'static str,
    /// Chunks that are written, each copied once for every snapshot.
    pub dirty_chunks: u64,
    /// Whether the throttle's bound applies.
    pub is_bounded: bool,
    /// A row for each number of snapshots.
    pub rows: Vec<Row>,
}

/// What one run came to. Peaks of several snapshots are added up: each has a kcopyd client of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The most jobs in flight.
    pub jobs: u64,
    /// The most pages that they held.
    pub pages: u64,
    /// The most pending exceptions.
    pub pending: u64,
    /// Virtual time from the first write to the end of the last.
    pub runtime_ns: u64,
    /// The most steps that one wake-up of a worker made.
    pub steps_per_run_max: u64,
}

impl Row {
    /// Bytes that were held at most.
    pub const fn bytes(&self, sizes: &Sizes) -> u64 {
        self.jobs * sizes.job + self.pages * sizes.page + self.pending * sizes.pending
    }
}

/// What the commit message says of 8 snapshots, with the throttle and without it.
const MESSAGE: &str = "\
| 721b1d98fb51, real kernel, chunks of 4 KiB | without | with a threshold of 2048 |
|:---|---:|---:|
| slab `kcopyd_job`, 8 snapshots | 10 GB | 130 MB |
| test `many_snapshots_of_same_volume_N` | 5m20.48s | 3m26.38s |
| workqueue lock-ups | stuck for 27 s | none |
";

/// The same in the picture.
const NOTE: &str = "The commit's own figures, 8 snapshots: kcopyd_job slab 10 GB without, 130 MB with a threshold of 2048; \
    5m20.48s without, 3m26.38s with (the time is not reproduced: see the page).";

impl CowThrottle {
    /// Jobs that a throttle lets be in flight: each writer looks before it starts a copy on every snapshot.
    pub const fn bound(&self, snapshots: u64) -> u64 {
        snapshots * (self.threshold + self.writers)
    }

    /// The page.
    pub fn markdown(&self) -> String {
        let Self { command, writers, threshold, disks, sizes, .. } = self;
        let Sizes { job, pending, page } = sizes;
        let mut text = format!(
            "# Throttled copies of snapshots, in virtual time\n\n\
             Made by `{command}`; a test makes it again and compares the bytes. Nothing here depends on the machine.\n\n\
             ![the three tables as lines](cow-throttle.svg)\n\n\
             {writers} tasks write to a snapshot-origin device as a write-back of the page cache does: everything at once. All \
             snapshots are transient, with chunks of 4 KiB, so each dirty chunk is copied once for every snapshot. {disks}. \
             `snapshot_cow_threshold` is {threshold} in place of the kernel's 2048, and the dirty data is as much smaller. \
             `reserves only` is `none` on a machine on which every allocation fails, so that copies live on the reserves of \
             their pools: {jobs_reserve} jobs a snapshot.\n\n",
            jobs_reserve = 8,
        );
        text.push_str("## Copies in flight, at most\n\n");
        let bound = |snapshots| Some(self.bound(snapshots).to_string());
        self.table(&mut text, "bound: snapshots × (threshold + writers)", bound, |row| row.jobs.to_string());
        let _ = write!(
            text,
            "\nWithout a throttle they grow with dirty chunks × snapshots; with one they do not know how much is dirty.\n\n\
             ## Memory that they hold, at most, in KiB\n\n"
        );
        self.table(&mut text, "", |_| None, |row| (row.bytes(sizes) / 1024).to_string());
        let per_copy = job + page + pending;
        let _ = write!(
            text,
            "\nA copy in flight holds a `kcopyd_job` of {job} bytes (`sizeof(struct kcopyd_job) * (SPLIT_COUNT + 1)`: 9 × 368, \
             64 bit, 4.13 to 6.12), a `dm_snap_pending_exception` of {pending} (6.12), and, once kcopyd has given it one, a page \
             of {page}: {per_copy} bytes for a chunk of 4 KiB. By the same sum 2048 jobs of 8 snapshots are {eight} MiB and of \
             16 snapshots {sixteen} MiB of `kcopyd_job`, and 10 GB are some 3 million jobs.\n\n\
             ## Time to finish, in ms of virtual time\n\n",
            eight = 8 * 2048 * job / (1 << 20),
            sixteen = 16 * 2048 * job / (1 << 20),
        );
        self.table(
            &mut text,
            "",
            |_| None,
            |row| {
                let us = row.runtime_ns / 1000;
                format!("{}.{:03}", us / 1000, us % 1000)
            },
        );
        text.push_str("\n## Steps of jobs that a worker makes in one go, at most\n\n");
        self.table(&mut text, "", |_| None, |row| row.steps_per_run_max.to_string());
        let _ = write!(
            text,
            "\nA step is a job that is completed, given its pages, or has its I/O issued. The kernel's watchdog complains about a \
             worker that makes them for too long.\n\n\
             ## The commit's own figures\n\n{MESSAGE}\n\
             ## What is reproduced, and what is not\n\n\
             * Reproduced: jobs and memory are proportional to dirty chunks × snapshots without a throttle, and at most \
             snapshots × (threshold + writers) with either one.\n\
             * Reproduced in kind, for one and two snapshots: the throttle bounds how much a worker does in one go. With more of \
             them the one virtual CPU goes round their workers, and none gets to do much at once.\n\
             * Not reproduced: that the test took 36 % less time. Here the disks are busy from the first copy to the last in every \
             row, so all rows take the same time, down to the one in which copies have nothing but the reserves. So it is \
             not the order in which dm works that costs the time: a throttle gives none away, and more than a few copies a \
             snapshot gain none. What the kernel lost it lost around dm: reclaim and swap for 10 GB of slab, the OOM killer, \
             and workers that kept CPUs from everybody else. The engine has a virtual CPU and disks, but no model of reclaim, \
             of caches, or of other work on the CPUs, and none was made up to fit.\n\n\
             ## The scenario\n\n```yaml\n{}```\n",
            self.scenario
        );
        text
    }

    fn table(
        &self,
        text: &mut String,
        last: &str,
        last_of: impl Fn(u64) -> Option<String>,
        value: impl Fn(&Row) -> String,
    ) {
        let names = self.series.iter().map(|series| format!("{}, {} chunks", series.name, series.dirty_chunks));
        let mut titles: Vec<String> = std::iter::once("snapshots".to_owned()).chain(names).collect();
        if !last.is_empty() {
            titles.push(last.to_owned());
        }
        let _ = writeln!(text, "| {} |\n|{}", titles.join(" | "), "---:|".repeat(titles.len()));
        for (index, snapshots) in self.snapshots.iter().enumerate() {
            let values = self.series.iter().map(|series| value(&series.rows[index]));
            let row: Vec<String> =
                std::iter::once(snapshots.to_string()).chain(values).chain(last_of(*snapshots)).collect();
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
    }

    /// The picture.
    pub fn svg(&self) -> String {
        let line = |value: fn(&Row, &Sizes) -> u64| {
            move |series: &Series| Line {
                name: format!("{}, {} dirty chunks", series.name, series.dirty_chunks),
                color: series.color,
                dashed: false,
                values: series.rows.iter().map(|row| value(row, &self.sizes)).collect(),
            }
        };
        let panel = |title, label, value: fn(&Row, &Sizes) -> u64| Panel {
            title,
            label,
            lines: self.series.iter().map(line(value)).collect(),
        };
        let mut jobs = panel("Copies in flight, at most", |n| n.to_string(), |row, _| row.jobs);
        jobs.lines.push(Line {
            name: "bound: snapshots × (threshold + writers)".to_owned(),
            color: "#555",
            dashed: true,
            values: self.snapshots.iter().map(|snapshots| self.bound(*snapshots)).collect(),
        });
        let memory = panel("Memory that they hold, at most", kibibytes, |row, sizes| row.bytes(sizes));
        let time = panel("Time to finish (virtual)", microseconds, |row, _| row.runtime_ns / 1000);
        svg("Throttled copies of snapshots (721b1d98fb51)", "snapshots", &self.snapshots, &[jobs, memory, time], NOTE)
    }
}

fn kibibytes(bytes: u64) -> String {
    if bytes >= 1 << 20 { format!("{} MiB", bytes >> 20) } else { format!("{} KiB", bytes >> 10) }
}

/// Powers of two on a scale: to the nearest whole unit.
fn microseconds(us: u64) -> String {
    if us >= 1000 { format!("{} ms", (us + 500) / 1000) } else { format!("{us} us") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure() -> CowThrottle {
        let row = |jobs| Row { jobs, pages: 2, pending: 1, runtime_ns: 1_234_567, steps_per_run_max: 9 };
        let series = |name: &str, is_bounded, jobs: [u64; 2]| Series {
            name: name.to_owned(),
            color: "#000",
            dirty_chunks: 7,
            is_bounded,
            rows: jobs.map(row).to_vec(),
        };
        CowThrottle {
            command: "a command",
            snapshots: vec![1, 2],
            writers: 4,
            threshold: 10,
            disks: "Disks",
            sizes: Sizes { job: 1000, pending: 24, page: 4096 },
            series: vec![series("none", false, [100, 200]), series("wait", true, [14, 28])],
            scenario: "scenario: x\n".to_owned(),
        }
    }

    #[test]
    fn a_page_has_every_number_of_its_rows_and_the_bound() {
        let text = figure().markdown();
        assert!(text.contains("| 1 | 100 | 14 | 14 |\n| 2 | 200 | 28 | 28 |\n"), "{text}");
        assert!(text.contains("| 1 | 105 | 21 |\n"), "jobs, pages and pending exceptions in KiB: {text}");
        assert!(text.contains("| 1 | 1.234 | 1.234 |"), "{text}");
    }

    #[test]
    fn a_picture_has_three_panels_and_a_line_for_each_series() {
        let text = figure().svg();
        assert_eq!(text.matches("font-weight=\"bold\"").count(), 1 + 3, "{text}");
        assert_eq!(text.matches("<circle").count(), 3 * 2 * 2, "{text}");
        assert_eq!(text.matches("stroke-dasharray").count(), 2, "the bound, and its line in the legend");
    }
}
