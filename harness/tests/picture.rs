//! Pictures of failing schedules as users get them: from real runs, on the command line, and from traces that try to
//! break them.
//!
//! Golden: a change of the table's form changes a text here, and should be looked at with a reader's eyes.
//! Not here: what is read out of the steps (`harness/src/picture`), reports (`reports.rs`).

mod support;

use dmlab::backend::engine::TraceStep;
use dmlab::judge::Judgement;
use dmlab::picture::{self, Picture};
use dmlab::plan::RunOn;
use dmlab_engine::sched::{OpKind, TaskId};
use dmlab_results::{TableOptions, Verdict};
use support::{Folder, Overrides, one_cell};

/// The picture of the failing schedule of a cell.
fn picture(scenario: &str, overrides: Overrides<'_>) -> Picture {
    let run = one_cell(scenario, overrides, RunOn::Explorer);
    let steps = run.schedule.expect("the cell fails");
    picture::of(scenario, &run.judgement, &steps)
}

fn synthetic(steps: &[TraceStep], verdict: Verdict, report: Option<&str>) -> Picture {
    picture::of("t/x", &Judgement { verdict, report: report.map(str::to_owned), stuck: None }, steps)
}

fn step(task: u32, name: &str, op: OpKind, object: &str) -> TraceStep {
    TraceStep { task: TaskId(task), name: name.to_owned(), op, object: object.to_owned(), arg: 0, taken: None }
}

/// Whether a page is well-formed by the rules of XML and refers to nothing outside of itself.
fn check_page(page: &str) -> Result<(), String> {
    let body = page.strip_prefix("<!DOCTYPE html>\n").ok_or("no document type")?;
    let (mut open, mut rest): (Vec<&str>, &str) = (Vec::new(), body);
    while let Some(at) = rest.find(['<', '>', '&']) {
        let (sign, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        if sign == b'&' {
            let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
            let entity = known.iter().find(|entity| after.starts_with(**entity)).ok_or("a bare &")?;
            rest = &after[entity.len()..];
            continue;
        }
        if sign == b'>' {
            return Err(format!("a bare > before {:?}", after.get(..20)));
        }
        let (tag, after) = after.split_once('>').ok_or("a tag without an end")?;
        if tag.contains('<') || tag.matches('"').count() % 2 == 1 {
            return Err(format!("the tag <{tag}> is broken"));
        }
        rest = after;
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(last) if last == name => {}
                last => return Err(format!("</{name}> ends {last:?}")),
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        for outside in ["href", "src", "action", "on", "xlink:href"] {
            if tag.contains(&format!(" {outside}=")) {
                return Err(format!("<{tag}> refers to something"));
            }
        }
        if ["script", "link", "iframe", "object", "embed", "img"].contains(&name) {
            return Err(format!("<{tag}> has no place here"));
        }
    }
    if page.contains("@import") || page.replace("url(#", "").contains("url(") || page.contains("http") {
        return Err("something outside is named".to_owned());
    }
    let strange = page.chars().find(|c| c.is_control() && *c != '\n');
    match (strange, open.last()) {
        (Some(c), _) => Err(format!("the character {c:?}")),
        (None, Some(tag)) => Err(format!("<{tag}> is never ended")),
        (None, None) => Ok(()),
    }
}

#[track_caller]
fn assert_page(page: &str) {
    check_page(page).unwrap_or_else(|error| panic!("{error}:\n{page}"));
}

fn count(page: &str, what: &str) -> usize {
    page.matches(what).count()
}

#[test]
fn the_checker_of_pages_sees_what_is_wrong() {
    let page = |body: &str| format!("<!DOCTYPE html>\n<html><body>{body}</body></html>\n");
    assert_eq!(check_page(&page("<p class=\"x\">a &lt; b<br/></p>")), Ok(()));
    for wrong in [
        "<p>",
        "<p><b></p></b>",
        "a & b",
        "a > b",
        "<p class=\"x>y</p>",
        "<script></script>",
        "<a href=\"x\"></a>",
        "<style>x { background: url(x.png) }</style>",
        "\u{1b}",
    ] {
        assert!(check_page(&page(wrong)).is_err(), "{wrong}");
    }
}

/// The last row of S8 A, which is the same in every schedule.
const S8_A_END: &str = "\
├──────┼─────────────────────────┼─────────────────────────┤
│ end  │ waits for mempool t.bs, │                         │
│      │ held by main (2 × 1     │                         │
│      │ element)                │                         │
└──────┴─────────────────────────┴─────────────────────────┘
";

#[test]
fn the_end_of_a_deadlock_reads_as_it_should() {
    let found = picture("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "fifo")]);
    let table = found.table(TableOptions { color: false, width: Some(60) });
    assert_eq!(table, found.table(TableOptions { color: false, width: Some(60) }));
    let (rows, notes) = table.split_at(table.find("┘\n").expect("the table has a corner") + "┘\n".len());
    assert!(rows.ends_with(S8_A_END), "the table now reads:\n{table}");
    assert!(notes.ends_with("✗ the task is stuck from this step on\n"), "{notes}");
    for row in ["│ step │ main    ", "│      │ … ", " steps of main: set-up …", " │ ✗ mempool_alloc t.bs    │ "]
    {
        assert_eq!(rows.matches(row).count(), 1, "{row:?} in\n{table}");
    }
}

#[test]
fn the_page_of_a_deadlock_has_its_tasks_its_steps_its_cycle_and_its_report() {
    let found = picture("bio/rescuer-many-tasks", &[("rescue", "none")]);
    let page = found.html();
    assert_page(&page);
    let steps = &found.lanes().steps;
    let set_up = steps.iter().position(|step| step.lane != 0).expect("there are several tasks");
    assert_eq!(count(&page, "class=\"head\""), 4);
    assert_eq!(count(&page, &format!("… {set_up} steps of main: set-up …")), 1);
    assert_eq!(count(&page, "<g class=\"op "), steps.len() - set_up);
    assert_eq!(count(&page, " stuck\">"), 3 + 1, "three boxes, and the legend");
    assert_eq!(count(&page, "class=\"waits\""), 3);
    assert_eq!(count(&page, "class=\"arrow\""), 4, "each of two waits for both");
    for told in [
        "<title>low waits for t.bs of high (1 element)</title>",
        "<title>high holds t.bs: from step ",
        &format!("<p>deadlock: {} steps, 4 tasks, ", steps.len()),
        "deadlock: 2 tasks wait for each other: ",
        "      __split_and_process_bio",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(told), "{told:?} is not in\n{page}");
    }
    assert_eq!(page, picture("bio/rescuer-many-tasks", &[("rescue", "none")]).html(), "the same seed, the same bytes");
}

#[test]
fn a_task_that_waits_for_itself_is_pointed_at_where_it_took_each_element() {
    for (scenario, cell) in [
        ("bio/split-head-or-remainder", &[("split", "clone-is-remainder"), ("sectors", "32")][..]),
        ("bio/rescuer-one-task", &[("rescue", "none"), ("gmr", "fifo")]),
    ] {
        let found = picture(scenario, cell);
        let page = found.html();
        assert_page(&page);
        assert_eq!(count(&page, "class=\"arrow\""), 2, "{scenario}: two elements are out");
        let (lanes, last) = (found.lanes(), found.lanes().steps.len() - 1);
        for arrow in &lanes.arrows {
            assert_eq!((arrow.from, lanes.words(arrow.to)), (last, lanes.words(last)), "{scenario}");
        }
    }
}

#[test]
fn an_element_on_a_rescue_list_is_pointed_at_where_the_submitter_took_it() {
    let found = picture("bio/rescuer-punt-all-or-own", &[("rescue", "punt-all")]);
    assert_page(&found.html());
    let lanes = found.lanes();
    let [arrow] = &lanes.arrows[..] else { panic!("{:?}", lanes.arrows) };
    assert_eq!(lanes.lanes[lanes.steps[arrow.from].lane].name, "kworker/bioset/d.bs.0");
    assert_eq!(lanes.lanes[lanes.steps[arrow.to].lane].name, "main");
    assert_eq!(lanes.words(arrow.to), "mempool_alloc d.bs");
}

#[test]
fn names_with_markup_controls_and_emoji_are_shown_and_do_no_harm() {
    let nasty = "<b>&\"'\u{1b}[31m\u{202e}\u{0}🦀]]></svg><script>";
    let steps = [
        step(0, "main", OpKind::MutexLock, nasty),
        step(1, nasty, OpKind::MutexLock, nasty),
        step(0, "main", OpKind::MutexUnlock, nasty),
        step(1, nasty, OpKind::MutexUnlock, nasty),
    ];
    let report = format!("{nasty}\nsecond line\u{7}");
    let judgement = Judgement { verdict: Verdict::Fail, report: Some(report), stuck: None };
    let found = picture::of(nasty, &judgement, &steps);
    let page = found.html();
    assert_page(&page);
    assert!(page.contains("&lt;b&gt;&amp;&quot;&#39;\\u{1b}[31m\\u{202e}\\u{0}🦀]]&gt;"), "{page}");
    assert!(page.contains("\nsecond line\\u{7}</pre>"));
    for color in [false, true] {
        let table = found.table(TableOptions { color, width: None });
        assert!(!table.contains("\u{1b}[31m\u{202e}") && table.contains("\\u{202e}"), "{table}");
    }
}

#[test]
fn a_trace_of_ten_thousand_steps_makes_a_picture_of_bounded_size_that_says_what_it_leaves_out() {
    let tasks = 20;
    let all: Vec<TraceStep> = (0..10_000_u32)
        .map(|number| {
            let (task, op) = (number % tasks, if number % 40 < 20 { OpKind::Down } else { OpKind::Up });
            step(task, &format!("task{task}"), op, &format!("object{}", number % 1000))
        })
        .collect();
    let size = |steps: &[TraceStep]| {
        let found = synthetic(steps, Verdict::StepLimit, Some("no end"));
        let (table, page) = (found.table(TableOptions::default()), found.html());
        assert_page(&page);
        (table, page)
    };
    let (table, page) = size(&all);
    assert!(table.contains("… 9600 steps left out …"), "{table}");
    assert_eq!(count(&page, "… 9000 steps left out …"), 1);
    assert_eq!(count(&page, "<g class=\"op "), 1000);
    assert!(page.contains("bars of tasks that hold very many objects are left out"));
    let (shorter_table, shorter_page) = size(&all[..5000]);
    assert!(table.len() < shorter_table.len() * 11 / 10, "{} and {}", table.len(), shorter_table.len());
    assert!(page.len() < shorter_page.len() * 11 / 10, "{} and {}", page.len(), shorter_page.len());
}

#[test]
fn tasks_whose_steps_are_all_left_out_are_counted() {
    let task = |number: u32| if (4000..4010).contains(&number) { number } else { number % 2 };
    let steps: Vec<TraceStep> =
        (0..10_000).map(|number| step(task(number), &format!("t{}", task(number)), OpKind::IoWrite, "d")).collect();
    let found = synthetic(&steps, Verdict::StepLimit, None);
    for text in [found.table(TableOptions::default()), found.html()] {
        assert!(text.contains("10 tasks have all their steps among those left out"), "{text}");
    }
    assert_page(&found.html());
}

#[test]
fn a_run_without_a_step_has_a_picture_too() {
    let found = synthetic(&[], Verdict::Panic, Some("dmlab itself is at fault"));
    assert_eq!(found.table(TableOptions::default()), "no steps\n");
    let page = found.html();
    assert_page(&page);
    assert!(page.contains("There is no step to show") && page.contains("dmlab itself is at fault"), "{page}");
}

#[test]
fn a_failure_that_is_no_deadlock_has_no_cycle_and_no_stuck_task() {
    let found = picture("bio/split-completes-head", &[("planted", "completes-original")]);
    let (table, page) = (found.table(TableOptions::default()), found.html());
    assert_page(&page);
    assert!(found.lanes().arrows.is_empty() && !table.contains('✗'), "{table}");
    assert_eq!((count(&page, "class=\"arrow\""), count(&page, "stuck\">")), (0, 0));
    assert!(page.contains("<h2>Report</h2>"), "{page}");
}

#[test]
fn a_known_number_of_preemptions_is_told_in_place_of_what_the_steps_show() {
    let found = picture("bio/rescuer-many-tasks", &[("rescue", "none")]);
    assert!(found.with_preemptions(1).html().contains("4 tasks, 1 preemption</p>"));
}

const SAVED: &str = "dmlab-schedules/bio-rescuer-many-tasks_rescue=none_split=loop_gmr=fifo.schedule.json";

fn explored() -> Folder {
    let folder = Folder::new();
    let ended = folder.dmlab(&["explore", "bio/rescuer-many-tasks", "--variant", "rescue=none", "--quiet"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    folder
}

#[test]
fn replay_prints_a_table_when_asked_and_a_list_elsewhere() {
    let folder = explored();
    let list = folder.dmlab(&["replay", SAVED]);
    assert_eq!(list.out, folder.dmlab(&["replay", "--steps", SAVED]).out);
    let table = folder.dmlab(&["replay", "--table", SAVED]);
    assert_eq!((table.code, &*table.err), (Some(0), ""));
    assert!(table.out.starts_with("┌──────┬─") && table.out.contains(" steps of main: set-up …"), "{}", table.out);
    let report = |text: &str| text[text.find("\ndeadlock: ").unwrap()..].to_owned();
    assert_eq!(report(&table.out), report(&list.out), "what follows the steps is the same");
    let colored = folder.dmlab(&["replay", "--table", "--color", "always", SAVED]);
    assert!(colored.out.contains("\u{1b}[31m") && !table.out.contains('\u{1b}'));
}

#[test]
fn replay_writes_a_page_beside_what_it_prints_and_replaces_nothing_unasked() {
    let folder = explored();
    let first = folder.dmlab(&["replay", "-q", "--html", "why.html", SAVED]);
    assert_eq!((first.code, &*first.err), (Some(0), ""), "{first:?}");
    assert!(first.out.ends_with("reproduced: deadlock\npage: why.html\n"), "{}", first.out);
    let page = folder.read("why.html");
    assert_page(&page);
    assert!(page.contains("<h1>bio/rescuer-many-tasks rescue=none split=loop gmr=fifo, seed "), "{page}");

    folder.with("why.html", "mine");
    let again = folder.dmlab(&["replay", "--html", "why.html", SAVED]);
    assert_eq!((again.code, &*again.out), (Some(3), ""), "{again:?}");
    assert!(again.err.contains("why.html: there is such a file already; --force replaces it"), "{}", again.err);
    assert_eq!(folder.read("why.html"), "mine");
    assert_eq!(folder.dmlab(&["replay", "-q", "--html", "why.html", "--force", SAVED]).code, Some(0));
    assert_eq!(folder.read("why.html"), page);
    assert_eq!(folder.names(""), ["dmlab-schedules", "why.html"]);
}

#[test]
fn a_page_on_standard_output_is_alone_there() {
    let folder = explored();
    let ended = folder.dmlab(&["replay", "--html", "-", SAVED]);
    assert_eq!(ended.code, Some(0));
    assert_page(&ended.out);
    assert!(ended.err.ends_with("steps, all as recorded\nreproduced: deadlock\n"), "{}", ended.err);
    assert_eq!(folder.names(""), ["dmlab-schedules"]);
}

#[test]
fn the_page_of_a_run_that_left_the_recorded_way_says_so() {
    let folder = explored();
    let changed = folder.read(SAVED).replacen("\"name\": \"main\"", "\"name\": \"nobody\"", 1);
    folder.with("changed.json", &changed);
    let ended = folder.dmlab(&["replay", "--html", "-", "changed.json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_page(&ended.out);
    assert!(ended.out.contains("; not the recorded run from step 0: expected nobody: "), "{}", ended.out);
}

#[test]
fn options_that_contradict_each_other_and_places_that_cannot_be_written_are_refused() {
    let folder = explored();
    for args in [&["--table", "--steps"][..], &["--quiet", "--table"], &["--quiet", "--steps"], &["--force"]] {
        let ended = folder.dmlab(&[&["replay", SAVED], args].concat());
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{args:?}: {ended:?}");
    }
    let ended = folder.dmlab(&["replay", "-q", "--html", "no/such/why.html", SAVED]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("no/such/why.html: No such file"), "{}", ended.err);
    assert_eq!(folder.dmlab(&["replay", "-q", "--html", "dmlab-schedules", SAVED]).code, Some(3));
}
