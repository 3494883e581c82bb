//! What can be typed behind `dmlab kernel`, and what concerns guests elsewhere.
//!
//! Not here: what comes of it (`cli/kernel.rs`).

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::explore::duration;
use crate::backend::guest::Drill;
use crate::kernels::STOCK;

const KERNEL_EXAMPLES: &str = "\
Examples:
  dmlab kernel fetch                          Debian's cloud kernels 6.1 and 6.12, without root
  dmlab kernel build 6.12-cow-semaphore       6.12 with an old bug put back
  dmlab kernel list                           what there is, and where it comes from
  dmlab kernel boot 6.12                      does it come up here, and how fast?
  dmlab kernel boot ./bzImage                 a kernel of your own

Kernels are kept in $XDG_CACHE_HOME/dmlab/kernels (~/.cache/dmlab/kernels). Nothing is installed on this machine.";

const FETCH_EXAMPLES: &str = "\
Examples:
  dmlab kernel fetch                          all of them
  dmlab kernel fetch 6.12                     one

The packages come from what this machine's apt knows, or else from Debian's archive, with lists of their own. One that is
there already is not fetched again, unless Debian has a newer one.";

const BUILD_EXAMPLES: &str = "\
Examples:
  dmlab kernel build --list                   what can be built, and which scenario shows it
  dmlab kernel build                          all of it
  dmlab kernel build 6.12-debug --jobs 4      lockdep, detectors of hangs, injection of faults
  dmlab kernel build --source linux-source-6.12_6.12.117-1_all.deb
                                              from a package at hand, without a network

The source is the package linux-source-6.12, from what this machine's apt knows or else from Debian's archive; the compiler
and its tools are installed by `ci/setup.sh build`. The first build takes minutes, those after it compile what differs. A
kernel of the same source, configuration, edits and compiler is not built again. An interrupted build leaves nothing behind
but the unpacked source.";

const BOOT_EXAMPLES: &str = "\
Examples:
  dmlab kernel boot 6.1                       boots it, says hello, turns it off
  dmlab kernel boot 6.1 --console             and prints what the kernel printed

Exit codes: 0 it came up, 3 it did not.";

/// Arguments of `kernel`.
#[derive(Debug, ClapArgs)]
#[command(after_help = KERNEL_EXAMPLES)]
pub struct KernelArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: KernelCommand,
}

/// What can be done with kernels.
#[derive(Debug, Subcommand)]
pub enum KernelCommand {
    /// Fetch Debian's cloud kernels.
    #[command(after_help = FETCH_EXAMPLES)]
    Fetch(FetchArgs),
    /// Build kernels from Debian's source: one that watches everything, and such with an old bug put back.
    #[command(after_help = BUILD_EXAMPLES)]
    Build(BuildArgs),
    /// List the kernels that were fetched or built.
    List,
    /// Boot a kernel once, to see whether and how fast it comes up.
    #[command(after_help = BOOT_EXAMPLES)]
    Boot(BootArgs),
}

/// Arguments of `kernel fetch`.
#[derive(Debug, ClapArgs)]
pub struct FetchArgs {
    /// Which ones [default: all].
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(STOCK))]
    pub names: Vec<String>,
}

/// Arguments of `kernel build`.
#[derive(Debug, ClapArgs)]
pub struct BuildArgs {
    /// Which ones [default: all].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Only say what can be built.
    #[arg(long)]
    pub list: bool,
    /// Compilers at once [default: one per processor].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// The source package, in place of the one that apt knows.
    #[arg(long, value_name = "DEB")]
    pub source: Option<PathBuf>,
}

/// How guests are run.
#[derive(Clone, Debug, ClapArgs)]
pub struct GuestWishes {
    /// How the instructions of guests are carried out [default: kvm if a guest boots with it, else tcg].
    #[arg(long, value_enum)]
    pub accel: Option<AccelWish>,
    /// How long a guest may go without progress before it is given up [default: 60 s while it boots, 120 s in a cell].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub patience: Option<Duration>,
}

/// What carries out a guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccelWish {
    /// The processor.
    Kvm,
    /// The emulator.
    Tcg,
}

fn drills() -> impl TypedValueParser<Value = Drill> {
    PossibleValuesParser::new(Drill::ALL.map(Drill::name)).map(|name| {
        let found = Drill::ALL.into_iter().find(|drill| drill.name() == name);
        found.expect("clap lets only names of drills pass")
    })
}

/// Arguments of `kernel boot`.
#[derive(Debug, ClapArgs)]
pub struct BootArgs {
    /// A name of `dmlab kernel list`, an image (bzImage, vmlinuz), or a folder that holds one.
    #[arg(value_name = "NAME|PATH")]
    pub kernel: String,
    /// How it is run.
    #[command(flatten)]
    pub wishes: GuestWishes,
    /// Print the console.
    #[arg(long)]
    pub console: bool,
    /// Write the console to this file.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Go wrong in this way: what the tests of guests use.
    #[arg(long, hide = true, value_parser = drills())]
    pub drill: Option<Drill>,
}
