//! [`Edits`]: an old bug, put back into a kernel's source by a few edits (`ci/kernel/mutations/*.edit`).
//!
//! A file has a head (`about:`, `commit:`, `kernel:`, `scenario:`, `verdict:`, perhaps `variants:`) and edits. Each names a source
//! file, the beginning of the line with which a function or struct begins (`in:`; the whole file if it is left out), the
//! lines to find there and the lines to put in their place, both with one tabulator more than in the source.
//!
//! Invariants: an edit applies if its place is there once and holds its lines once; else nothing is written and the error
//! says where and why. The edits of a file apply one after the other.
//! Not here: reading and writing sources, building (`build`).

use std::collections::BTreeMap;

/// The mutations that come with dmlab, by name.
pub const MUTATIONS: &[(&str, &str)] = &[
    ("cow-semaphore", include_str!("../../../ci/kernel/mutations/cow-semaphore.edit")),
    ("origin-boundary", include_str!("../../../ci/kernel/mutations/origin-boundary.edit")),
    ("reads-not-tracked", include_str!("../../../ci/kernel/mutations/reads-not-tracked.edit")),
    ("status-overwritten", include_str!("../../../ci/kernel/mutations/status-overwritten.edit")),
    ("zero-chunk", include_str!("../../../ci/kernel/mutations/zero-chunk.edit")),
];

/// A mutation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Its name.
    pub name: String,
    /// What is wrong in a kernel that has it.
    pub about: String,
    /// Where it was so.
    pub commit: String,
    /// The series that it is made for.
    pub kernel: String,
    /// The engine's values that stand for it; with none, the scenario expects what it expects of the unchanged kernel.
    pub variants: Vec<(String, String)>,
    /// The scenario that shows it.
    pub scenario: String,
    /// The verdict that the scenario comes to.
    pub verdict: String,
    /// The edits.
    pub changes: Vec<Change>,
}

/// One edit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Line of the edit in its file.
    pub line: usize,
    /// The source.
    pub file: String,
    /// The beginning of the first line of the function or struct, up to the closing brace at the begin of a line.
    pub within: Option<String>,
    /// Lines to be found there, once.
    pub find: String,
    /// What is put in their place.
    pub put: String,
}

/// A file of edits that cannot be read, or that does not fit a source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}.edit:{line}: {what}")]
pub struct EditError {
    name: String,
    line: usize,
    what: String,
}

/// The mutation of a kernel called so, e.g. `6.12-cow-semaphore`.
pub fn mutation_of(kernel: &str) -> Option<Edits> {
    let named = |(name, text): &(&str, &str)| {
        let edits = Edits::parse(name, text).ok()?;
        (kernel == edits.kernel_name()).then_some(edits)
    };
    MUTATIONS.iter().find_map(named)
}

/// The mutation that a kernel of this release has, e.g. of `6.12.117-cow-semaphore`.
pub fn mutation_of_release(release: &str) -> Option<Edits> {
    MUTATIONS.iter().find_map(|(name, text)| {
        let rest = release.strip_suffix(name)?.strip_suffix('-')?;
        let edits = Edits::parse(name, text).ok()?;
        (rest == edits.kernel || rest.starts_with(&format!("{}.", edits.kernel))).then_some(edits)
    })
}

/// Which list of lines is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Find,
    Put,
}

impl Edits {
    /// Reads a file of edits.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, EditError> {
        let mut edits = Self { name: name.to_owned(), ..Self::default() };
        let mut part = Part::Head;
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: &str| EditError { name: name.to_owned(), line: index + 1, what: what.to_owned() };
            if let (Some(code), Some(change)) = (line.strip_prefix('\t'), edits.changes.last_mut()) {
                let lines = match part {
                    Part::Find => &mut change.find,
                    Part::Put => &mut change.put,
                    Part::Head => return Err(wrong("a line of source stands before `find:`")),
                };
                lines.push_str(code);
                lines.push('\n');
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, value) = line.split_once(':').ok_or_else(|| wrong("expected `key: value` or a tabulator"))?;
            let value = value.trim();
            match (key, edits.changes.last_mut()) {
                ("file", _) => {
                    let change = Change { line: index + 1, file: value.to_owned(), ..Change::default() };
                    (part, _) = (Part::Head, edits.changes.push(change));
                }
                ("in", Some(change)) => change.within = Some(value.to_owned()),
                ("find", Some(_)) => part = Part::Find,
                ("put", Some(_)) => part = Part::Put,
                ("about", None) => {
                    let space = if edits.about.is_empty() { "" } else { " " };
                    edits.about.push_str(&format!("{space}{value}"));
                }
                ("commit", None) => value.clone_into(&mut edits.commit),
                ("kernel", None) => value.clone_into(&mut edits.kernel),
                ("scenario", None) => value.clone_into(&mut edits.scenario),
                ("verdict", None) => value.clone_into(&mut edits.verdict),
                ("variants", None) => {
                    for pair in value.split_whitespace() {
                        let (axis, value) = pair.split_once('=').ok_or_else(|| wrong("expected axis=value"))?;
                        edits.variants.push((axis.to_owned(), value.to_owned()));
                    }
                }
                _ => return Err(wrong(&format!("{key:?} is no key that can stand here"))),
            }
        }
        edits.check()?;
        Ok(edits)
    }

    fn check(&self) -> Result<(), EditError> {
        let wrong = |line, what: String| EditError { name: self.name.clone(), line, what };
        let head = [
            ("about", &self.about),
            ("commit", &self.commit),
            ("kernel", &self.kernel),
            ("scenario", &self.scenario),
            ("verdict", &self.verdict),
        ];
        if let Some((key, _)) = head.iter().find(|(_, value)| value.is_empty()) {
            return Err(wrong(1, format!("`{key}:` is missing")));
        }
        if self.changes.is_empty() {
            return Err(wrong(1, "there are no edits".to_owned()));
        }
        let idle = |change: &&Change| change.find.is_empty() || change.put == change.find;
        self.changes.iter().find(idle).map_or(Ok(()), |change| {
            Err(wrong(change.line, "an edit finds no lines, or puts the same ones in their place".to_owned()))
        })
    }

    /// What a kernel with it is called.
    pub fn kernel_name(&self) -> String {
        format!("{}-{}", self.kernel, self.name)
    }

    /// The sources that it changes.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.changes.iter().map(|change| change.file.as_str()).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The changed sources, by name, of those that `read` gives.
    ///
    /// # Errors
    /// A source cannot be read, or an edit does not fit it.
    pub fn apply(
        &self,
        read: &mut dyn FnMut(&str) -> std::io::Result<String>,
    ) -> Result<BTreeMap<String, String>, EditError> {
        let mut sources: BTreeMap<String, String> = BTreeMap::new();
        for change in &self.changes {
            let wrong = |what: String| EditError { name: self.name.clone(), line: change.line, what };
            let source = match sources.remove(&change.file) {
                Some(source) => source,
                None => read(&change.file).map_err(|error| wrong(format!("{}: {error}", change.file)))?,
            };
            let changed = change.applied(&source).map_err(wrong)?;
            sources.insert(change.file.clone(), changed);
        }
        Ok(sources)
    }
}

impl Change {
    fn applied(&self, source: &str) -> Result<String, String> {
        let place = match &self.within {
            Some(begin) => {
                let mut places = definitions(source, begin);
                let place = places.next().ok_or_else(|| format!("{} has no {begin:?}", self.file))?;
                if places.next().is_some() {
                    return Err(format!("{} has {begin:?} more than once", self.file));
                }
                place
            }
            None => 0..source.len(),
        };
        let whole = &source[place.clone()];
        // Lines are found from their begin on.
        let found: Vec<usize> = whole
            .match_indices(&self.find)
            .map(|(at, _)| at)
            .filter(|at| *at == 0 || whole.as_bytes()[at - 1] == b'\n')
            .collect();
        let within = self.within.as_deref().unwrap_or(&self.file);
        match found.as_slice() {
            [at] => {
                let (begin, end) = (place.start + at, place.start + at + self.find.len());
                Ok(format!("{}{}{}", &source[..begin], self.put, &source[end..]))
            }
            [] => Err(format!("{within:?} does not hold these lines: {:?}", self.find.trim_end())),
            many => Err(format!("{within:?} holds these lines {} times: {:?}", many.len(), self.find.trim_end())),
        }
    }
}

/// Where definitions that begin so stand: up to the brace that closes them; declarations are left out.
fn definitions<'a>(source: &'a str, begin: &'a str) -> impl Iterator<Item = std::ops::Range<usize>> + 'a {
    let starts = source.match_indices(begin).map(|(at, _)| at);
    let starts = starts.filter(|at| *at == 0 || source.as_bytes()[at - 1] == b'\n');
    starts.filter_map(|start| {
        let rest = &source[start..];
        let opened = rest.find('{')?;
        let closed = rest.find("\n}").map(|at| at + 1)?;
        (rest[..opened].find(';').is_none() && opened < closed).then_some(start..start + closed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "about: a\nabout: b\ncommit: c\nkernel: 6.12\nvariants: x=y z=w\nscenario: s\nverdict: fail\n";
    const SOURCE: &str = "static int f(int a);\n\nstatic int f(int a)\n{\n\tif (a)\n\t\treturn 1;\n\treturn 0;\n}\n\
                          static int g(void)\n{\n\treturn 0;\n}\n";

    fn applied(edits: &str) -> Result<String, String> {
        let edits = Edits::parse("m", &format!("{HEAD}{edits}")).map_err(|error| error.to_string())?;
        let read = &mut |file: &str| match file {
            "a.c" => Ok(SOURCE.to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        let sources = edits.apply(read).map_err(|error| error.to_string())?;
        Ok(sources["a.c"].clone())
    }

    #[test]
    fn every_mutation_in_the_folder_is_built_in_and_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../ci/kernel/mutations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".edit").map(str::to_owned))
            .collect();
        files.sort();
        assert_eq!(files, MUTATIONS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>());
        assert!(files.len() >= 5, "{files:?}");
        for (name, text) in MUTATIONS {
            let edits = Edits::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(mutation_of(&format!("6.12-{name}")), Some(edits));
        }
        assert_eq!(mutation_of("6.12-debug"), None);
        assert_eq!(mutation_of_release("6.12.117-zero-chunk").map(|edits| edits.name).as_deref(), Some("zero-chunk"));
        for release in ["6.12.117-debug", "6.1.9-zero-chunk", "6.12.117zero-chunk", "6.12.117-zero-chunk-2"] {
            assert_eq!(mutation_of_release(release), None, "{release}");
        }
    }

    #[test]
    fn what_a_mutation_stands_for_are_values_of_the_engine_and_a_scenario_of_the_catalogue() {
        use dmlab_engine::variants::Variants;
        for (name, text) in MUTATIONS {
            let edits = Edits::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            let mut variants = Variants::default();
            for (axis, value) in &edits.variants {
                variants.set(axis, value).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            let stands = !edits.variants.is_empty();
            assert_eq!(variants.names() != Variants::default().names(), stands, "{name}: values that it has anyway");
            let file = format!("{}/../scenarios/catalog/{}.yaml", env!("CARGO_MANIFEST_DIR"), edits.scenario);
            assert!(std::path::Path::new(&file).is_file(), "{name}: {file}");
        }
    }

    #[test]
    fn lines_are_found_in_the_definition_that_is_named_and_replaced() {
        let edit = "file: a.c\nin: static int f(\nfind:\n\t\treturn 0;\nput:\n\t\treturn 2;\n\t\t/* x */\n";
        let changed = applied(edit).unwrap();
        assert_eq!(changed, SOURCE.replacen("\treturn 0;\n", "\treturn 2;\n\t/* x */\n", 1));
    }

    #[test]
    fn later_edits_see_what_earlier_ones_have_done() {
        let twice = "file: a.c\nin: static int g(\nfind:\n\t\treturn 0;\nput:\n\t\treturn 5;\n\
                     file: a.c\nin: static int g(\nfind:\n\t\treturn 5;\nput:\n\t\treturn 6;\n";
        assert!(applied(twice).unwrap().contains("return 6;"));
    }

    #[test]
    fn an_edit_that_does_not_fit_the_source_says_where_and_why() {
        let wrong = |edit: &str| applied(edit).unwrap_err();
        let find = |within: &str, line: &str| wrong(&format!("file: a.c\n{within}find:\n{line}\nput:\n\tput\n"));
        assert_eq!(
            find("in: static int g(\n", "\t\treturn 1;"),
            "m.edit:8: \"static int g(\" does not hold these lines: \"\\treturn 1;\""
        );
        assert_eq!(find("", "\t\treturn 0;"), "m.edit:8: \"a.c\" holds these lines 2 times: \"\\treturn 0;\"");
        assert_eq!(find("in: static int h(\n", "\tx"), "m.edit:8: a.c has no \"static int h(\"");
        assert_eq!(find("in: static int \n", "\tx"), "m.edit:8: a.c has \"static int\" more than once");
        let missing = wrong("file: b.c\nfind:\n\tx\nput:\n\ty\n");
        assert!(missing.starts_with("m.edit:8: b.c: "), "{missing}");
    }

    #[test]
    fn a_file_of_edits_that_says_nothing_or_nonsense_is_refused() {
        let wrong = |text: &str| Edits::parse("m", text).unwrap_err().to_string();
        assert_eq!(wrong("about: x\n"), "m.edit:1: `commit:` is missing");
        assert_eq!(wrong(HEAD), "m.edit:1: there are no edits");
        assert_eq!(wrong("hello\n"), "m.edit:1: expected `key: value` or a tabulator");
        assert_eq!(wrong("find:\n"), "m.edit:1: \"find\" is no key that can stand here");
        assert_eq!(wrong(&format!("{HEAD}file: a.c\n\tx\n")), "m.edit:9: a line of source stands before `find:`");
        let same = format!("{HEAD}file: a.c\nfind:\n\tx\nput:\n\tx\n");
        assert_eq!(wrong(&same), "m.edit:8: an edit finds no lines, or puts the same ones in their place");
    }
}
