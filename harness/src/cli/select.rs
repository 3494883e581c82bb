//! Which scenarios are meant: files, folders of files, names of the catalogue and prefixes of names.
//!
//! Invariants: the order is that of the arguments, and within a folder or prefix that of the names; a scenario that is
//! named twice is taken once; all broken files are reported, not only the first.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dmlab_scenarios::{Diagnostics, Document, FILE_BYTES_MAX, catalog};

use super::Failure;
use super::input;
use super::output::Output;
use crate::plan::check_engine;

/// Where a scenario's text came from.
enum Source {
    Catalog(&'static str, &'static str),
    File(PathBuf),
}

/// The scenarios that were found, and what is wrong with those that cannot be read.
pub(crate) struct Selected {
    pub(crate) documents: Vec<Arc<Document>>,
    /// Rendered diagnostics; empty when all is well.
    pub(crate) errors: String,
}

impl Selected {
    /// The documents, when all could be read.
    pub(crate) fn all(self) -> Result<Vec<Arc<Document>>, Failure> {
        if self.errors.is_empty() { Ok(self.documents) } else { Err(Failure::Usage(self.errors)) }
    }
}

/// The scenarios that `names` mean; all of the catalogue for none.
pub(crate) fn select(names: &[String], tag: Option<&str>, output: &Output) -> Result<Selected, Failure> {
    let mut sources = Vec::new();
    if names.is_empty() {
        sources.extend(catalog().iter().map(|entry| Source::Catalog(entry.path, entry.text)));
    }
    for name in names {
        sources.extend(sources_of(name)?);
    }
    let (mut documents, mut errors): (Vec<Arc<Document>>, String) = (Vec::new(), String::new());
    for source in sources {
        let (file, text) = match source {
            Source::Catalog(path, text) => (path.to_owned(), text.to_owned()),
            Source::File(path) => (path.display().to_string(), read(&path)?),
        };
        match Document::parse_with(&file, &text, check_engine) {
            Ok(document) if documents.iter().any(|known| known.file() == document.file()) => {}
            Ok(document) => documents.push(Arc::new(document)),
            Err(diagnostics) => errors.push_str(&diagnostics.render(&text, output.err_color())),
        }
    }
    if let Some(tag) = tag {
        documents.retain(|document| document.tags().iter().any(|own| own == tag));
        if documents.is_empty() && errors.is_empty() {
            let mut tags: Vec<String> = catalog()
                .iter()
                .filter_map(|entry| entry.parse().ok())
                .flat_map(|document| document.tags().to_vec())
                .collect();
            tags.sort();
            tags.dedup();
            return Err(Failure::Usage(format!("no scenario has the tag {tag:?}; tags are: {}", tags.join(", "))));
        }
    }
    Ok(Selected { documents, errors })
}

fn sources_of(name: &str) -> Result<Vec<Source>, Failure> {
    let path = Path::new(name);
    if path.is_dir() {
        let mut files = Vec::new();
        yaml_files(path, &mut files)?;
        if files.is_empty() {
            return Err(Failure::Usage(format!("{name}: there is no .yaml file in this folder")));
        }
        return Ok(files.into_iter().map(Source::File).collect());
    }
    if path.exists() {
        return Ok(vec![Source::File(path.to_owned())]);
    }
    let wanted = name.trim_end_matches('/').trim_end_matches(".yaml");
    let below = format!("{wanted}/");
    let found = catalog().iter().filter(|entry| entry.id() == wanted || entry.id().starts_with(&below));
    let found: Vec<Source> = found.map(|entry| Source::Catalog(entry.path, entry.text)).collect();
    if found.is_empty() {
        let near =
            catalog().iter().map(|entry| entry.id()).filter(|id| id.contains(last_word(wanted))).collect::<Vec<_>>();
        let hint =
            if near.is_empty() { "see `dmlab list`".to_owned() } else { format!("did you mean {}?", near.join(", ")) };
        return Err(Failure::Usage(format!("{name}: neither a file nor a scenario of the catalogue; {hint}")));
    }
    Ok(found)
}

fn last_word(name: &str) -> &str {
    name.rsplit(['/', '-']).next().unwrap_or(name)
}

/// All YAML files below `folder`, sorted.
fn yaml_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let problem = |error: std::io::Error| Failure::Setup(format!("{}: {error}", folder.display()));
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(problem)? {
        let entry = entry.map_err(problem)?;
        // A link to a folder may lead round in a circle.
        entries.push((entry.path(), entry.file_type().map_err(problem)?.is_dir()));
    }
    entries.sort();
    for (path, is_folder) in entries {
        if is_folder {
            yaml_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    input::read(path, "a scenario is a YAML file", FILE_BYTES_MAX as u64)
}

/// A document's mistakes, as text for people.
pub(crate) fn in_words(document: &Document, diagnostics: &Diagnostics, output: &Output) -> String {
    diagnostics.render(document.text(), output.err_color())
}
