//! Runs the house rules: `cargo run -p dmlab-tidy [-- ROOT]`.
//!
//! Exit code 0: clean. 1: at least one violation, each printed on one line. 2: the repository could not be read, or
//! the arguments make no sense. Without ROOT the workspace around the working directory is checked.

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: dmlab-tidy [ROOT]\n       dmlab-tidy --rules";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let root = match arguments.as_slice() {
        [flag] if flag == "--rules" => {
            for rule in dmlab_tidy::rules::RULES {
                println!("{:14} {}", rule.name, rule.about);
            }
            return ExitCode::SUCCESS;
        }
        [flag] if flag.starts_with('-') => return failed(USAGE),
        [root] => PathBuf::from(root),
        [] => match workspace_root() {
            Some(root) => root,
            None => return failed("no Cargo.toml with a [workspace] here or above; name the root"),
        },
        _ => return failed(USAGE),
    };
    match dmlab_tidy::check(&root) {
        Err(error) => failed(&format!("{}: {error}", root.display())),
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            for violation in &found {
                println!("{violation}");
            }
            eprintln!("dmlab-tidy: {} violation(s); `dmlab-tidy --rules` lists the rules", found.len());
            ExitCode::FAILURE
        }
    }
}

fn failed(message: &str) -> ExitCode {
    eprintln!("dmlab-tidy: {message}");
    ExitCode::from(2)
}

/// The nearest folder, from the working directory upwards, whose manifest is a workspace's.
fn workspace_root() -> Option<PathBuf> {
    let is_workspace = |folder: &&Path| {
        let manifest = std::fs::read_to_string(folder.join("Cargo.toml"));
        manifest.is_ok_and(|text| text.lines().any(|line| line.trim() == "[workspace]"))
    };
    env::current_dir().ok()?.ancestors().find(is_workspace).map(Path::to_path_buf)
}
