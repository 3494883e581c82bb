//! The catalogue of algorithm variants: one enum per axis, each value with the kernels that had it and the commit
//! that brought it.
//!
//! Invariants: every value is listed in its axis's `ALL`, and its name parses back to it (both tested); the default
//! of each axis is what Linux 6.12 does; `planted` values never existed in any kernel. On every axis, each kernel that
//! can be named ([`Kernel`]) has exactly one value, so that [`Variants::as_of`] gives its whole stack (tested, also
//! against a table of the cut-overs).
//! Commits with `?` are named from memory: no tree in which they could be looked up was at hand.
//! Not here: what a variant does; the code that branches on it says so under the kernel's own function name.

use std::fmt;

mod history;
mod kernels;

pub use kernels::{Kernel, Kernels, UnknownKernel};

/// What is known about one value of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Name in scenarios and on the command line.
    pub name: &'static str,
    /// Kernels that behaved like this, as [`Kernels::parse`] reads them.
    pub kernels: &'static str,
    /// The commit (or mail) that brought it.
    pub commit: &'static str,
    /// What it does.
    pub about: &'static str,
    /// What it is good at; nothing where `about` says it all.
    pub good: &'static str,
    /// What it is bad at.
    pub bad: &'static str,
}

impl ValueInfo {
    /// The kernels that behaved like this.
    ///
    /// # Panics
    /// Never for what the catalogue says (tested).
    pub fn releases(&self) -> Kernels {
        Kernels::parse(self.kernels).expect("the catalogue names known kernels")
    }
}

/// What is known about one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AxisInfo {
    /// Name in scenarios and on the command line.
    pub name: &'static str,
    /// The question that its values answer differently.
    pub about: &'static str,
    /// Its values, oldest first.
    pub values: &'static [ValueInfo],
    /// The value that Linux 6.12 has.
    pub default: &'static str,
}

/// A name that the catalogue does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariantError {
    /// No such axis.
    #[error("unknown variant axis {axis:?}; there are: {known}")]
    Axis {
        /// What was asked for.
        axis: String,
        /// Comma-separated list of what there is.
        known: String,
    },
    /// No such value.
    #[error("unknown value {value:?} of variant axis {axis:?}; there are: {known}")]
    Value {
        /// The axis.
        axis: String,
        /// What was asked for.
        value: String,
        /// Comma-separated list of what there is.
        known: String,
    },
}

macro_rules! axis {
    ($(#[$doc:meta])* $Axis:ident $axis:literal $question:literal default $default:ident {
        $($(#[$vdoc:meta])* $Value:ident $value:literal $kernels:literal $commit:literal $about:literal
            $(good $good:literal bad $bad:literal)?,)+
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $Axis { $($(#[$vdoc])* $Value,)+ }

        impl $Axis {
            /// Every value, oldest first.
            pub const ALL: &'static [Self] = &[$(Self::$Value,)+];
            const VALUES: &'static [ValueInfo] = &[$(ValueInfo {
                name: $value, kernels: $kernels, commit: $commit, about: $about,
                good: concat!($($good)?), bad: concat!($($bad)?),
            },)+];
            /// What the catalogue says about this axis.
            pub const INFO: AxisInfo = AxisInfo {
                name: $axis, about: $question, values: Self::VALUES, default: Self::$default.name(),
            };

            /// The value's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$Value => $value,)+ }
            }

            pub(crate) fn parse(value: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.name() == value)
            }
        }

        impl Default for $Axis {
            fn default() -> Self { Self::$default }
        }

        impl fmt::Display for $Axis {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.name()) }
        }
    };
}

mod snapshots;

pub use snapshots::{
    ChunkTracking, CommitOrder, CowThrottle, EmbeddedPools, OriginBoundary, PendingPoll, SnapLock, ZeroChunk,
};

axis! {
    /// How `generic_make_request` / `submit_bio_noacct` treats a bio that is submitted while one is being processed
    /// (dm-spec §2).
    Gmr "gmr" "what generic_make_request does with a bio submitted from inside a driver" default Sorted {
        /// Call the driver at once.
        Recurse "recurse" "< 2.6.22" "-"
            "calls the driver directly"
            good "nothing is deferred, so nothing waits for what was deferred"
            bad "the C stack grows with the stack of devices",
        /// Append to the one `current->bio_list`.
        Fifo "fifo" "2.6.22 - 4.10" "d89d87965dcb"
            "queues on current->bio_list, first in first out"
            good "a bounded stack"
            bad "what was submitted stays undispatched behind what was submitted before: two bios to one driver, or more \
                pieces than a pool holds, can deadlock",
        /// As `sorted`, with the older bios out of everybody's sight.
        Hidden "hidden" "4.11-rc1" "79bd99596b73"
            "lower devices first, but the bios that were queued before wait in a local variable"
            good "all that a bio causes is dispatched before its remainder is looked at"
            bad "whoever walks current->bio_list (rescuers, dm's flush when it blocks, tests for emptiness) misses the \
                older bios",
        /// Lower devices first, then the same device, then what was queued before.
        Sorted "sorted" ">= 4.11" "79bd99596b73 f5fe1b51905d"
            "two lists that everybody can see, lower devices first"
            good "all that a bio causes is dispatched before its remainder is looked at"
            bad "still defers: pieces that are all mapped in one driver call still wait for each other",
    }
}

axis! {
    /// How dm cuts a bio that spans several targets or boundaries (dm-spec §4).
    Split "split" "how dm cuts a bio that does not fit one target" default Trim {
        /// All pieces in one call.
        Loop "loop" "<= 4.15" "-"
            "maps every piece inside one driver call, one clone of md->bs and none dispatched before the last is mapped"
            good "the cheapest for each piece"
            bad "needs as many clones as pieces at once, and maps while earlier pieces hold locks: needs rescuers",
        /// The head is cloned from `q->bio_split`, the original is resubmitted as the remainder.
        DepthFirst "depth-first" "4.16-rc1 - 5.17, 5.19" "18a25da84354 f21c601a2bb3"
            "maps one piece, chains a clone of the head to the original and resubmits the original as the remainder"
            good "with sorted submission a piece is dispatched before the next is mapped: no rescuer"
            bad "a clone for each split; needs q->bio_split",
        /// The wrong twin of `depth-first`.
        CloneIsRemainder "clone-is-remainder" "none" "discussed in 18a25da84354"
            "submits the clone as the remainder"
            good "nothing that depth-first is not"
            bad "a bio of k pieces holds k-1 clones of one set at the same time",
        /// The original is trimmed; nothing is allocated.
        Trim "trim" "5.18, >= 6.0" "7dd76d1feec7 8b211aaccb91"
            "maps one piece, trims the original to the remainder and resubmits it"
            good "a split allocates nothing"
            bad "pieces share the original, so that one that must be requeued has to be cut out again (reverted in 5.19 by \
                61b6e2e5321d for that)",
    }
}

axis! {
    /// What `bio_alloc_bioset` does when the set is exhausted and the task has undispatched bios (dm-spec §3).
    Rescue "rescue" "how a bio_set makes progress when it is exhausted under generic_make_request" default None {
        /// Sleep.
        None "none" "<= 3.8, >= 4.16-rc1" "- (dm since 4.16: 18a25da84354)"
            "mempool_alloc sleeps; since 4.16 other sets may have rescuers, those of dm have none"
            good "no threads"
            bad "the task's own bio_list may hold the elements that it waits for",
        /// Everything on the task's list goes to the set's rescuer.
        PuntAll "punt-all" "none" "v7 9/9, 2012-08-28"
            "moves the whole current->bio_list to the rescuer"
            good "frees the task's own list"
            bad "the rescuer can then sleep on the very set that it is to refill",
        /// Only this set's own bios go to its rescuer.
        PuntOwn "punt-own" "3.9 - 4.15" "df2cb6daa4cb"
            "moves only the bios that came from this set: each is on its way to being freed into it"
            good "whoever submits each bio before allocating the next makes progress"
            bad "a thread for each set; does nothing for other pools and for locks",
    }
}

axis! {
    /// Which sets have a rescuer, where there are any (dm-spec §3.4).
    RescuerSets "rescuer_sets" "which bio_sets have a rescuer, where the rescue axis has any" default Flagged {
        /// All of them.
        Every "every" "<= 4.12" "df2cb6daa4cb"
            "every set has a rescuer thread"
            good "nobody can forget one"
            bad "a thread for each set, also for q->bio_split and for sets that need none",
        /// Those that ask for one.
        Flagged "flagged" ">= 4.13" "47e0fb461f"
            "sets made with BIOSET_NEED_RESCUER have one: in this engine dm's own sets of clones"
            good "no thread where bios are allocated at the top only"
            bad "whoever looks for the rescuer of a set must know that there may be none",
        /// dm no longer asks.
        Unflagged "unflagged" "none" "c9fdc42ba23e (dropped)"
            "the first half of the proposed revert: dm makes its sets without BIOSET_NEED_RESCUER"
            good "one thread less for each device"
            bad "what dm hands over when it blocks goes nowhere: the deadlock is back, or a NULL pointer is used",
    }
}

axis! {
    /// What dm does with undispatched bios when a target's map function blocks (dm-spec §3.5).
    Offload "offload" "what becomes of undispatched bios when a target blocks in its map function" default None {
        /// They wait with the task.
        None "none" "<= 4.10, >= 4.16-rc1" "-"
            "undispatched bios wait with the task"
            good "no threads, no reordering; with depth-first splitting nothing is undispatched there"
            bad "with loop splitting, a map function that waits for an earlier piece waits for itself",
        /// To the rescuers of their sets, of which each has one.
        Unchecked "unchecked" "4.11-rc1 - 4.12" "d67a5f4b59"
            "schedule() hands them to the rescuers of their sets"
            good "locks that pieces hold are given back"
            bad "a set without a rescuer is a NULL pointer (the second half of the proposed revert, c9fdc42ba23e)",
        /// The same, for sets that have one.
        Checked "checked" "4.13 - 4.15" "47e0fb461f"
            "the same, for bios whose set has a rescuer; the others stay"
            good "no crash without a rescuer"
            bad "a thread for each set of each device; depends on schedule() calling back",
    }
}

axis! {
    /// Whether a dm device's queue has a set for splits (dm-spec §3.6, S6, S14).
    BioSplitSet "bio_split" "whether the queue of a dm device has a set for splits" default Present {
        /// It has none.
        Freed "freed" "<= 4.2, 4.4 - 4.15" "dbba42d8 (4.4?)"
            "dm frees q->bio_split (before 4.3 queues had none)"
            good "where every set has a rescuer, one thread less for each device"
            bad "whoever splits a bio of this queue uses a NULL pointer",
        /// Two bios in reserve.
        Present "present" "4.3, >= 4.16-rc1" "54efd50bfd87 (4.3?) 18a25da84354"
            "the queue has its set, with a reserve of two"
            good "bios can be split and chained"
            bad "where every set has a rescuer, one more thread",
    }
}

axis! {
    /// What the end of a `dm_io` does to the status of its bio (CHAIN-STATUS, dm-spec §4.3).
    ChainStatus "chain_status" "whether dm's success overwrites an error of an earlier piece" default Sticky {
        /// `bio->bi_status = error`, always.
        Overwritten "overwritten" "<= 4.16-rc1" "-"
            "dm assigns the status of its bio, whatever it was"
            good "right as long as each bio has one dm_io"
            bad "with depth-first splitting the success of the remainder erases the error of the head",
        /// Errors only.
        Sticky "sticky" ">= 4.16" "8dd601fa8317?"
            "dm assigns errors only"
            good "an error of any piece is an error of the whole"
            bad "nothing known",
    }
}

axis! {
    /// Where the vecs of dm's clones come from (dm-spec §1.3, S10).
    CloneVecs "clone_vecs" "whether a clone of more than four pages needs vecs of its own" default Shared {
        /// From the set's second pool.
        Copied "copied" "<= 3.13" "-"
            "each clone gets a copy of its piece of the vecs, from the set's bvec pool when there are more than four"
            good "drivers may change the vecs"
            bad "a second pool that can be exhausted under generic_make_request",
        /// The original's.
        Shared "shared" ">= 3.14" "1c3b13e64cf7?"
            "clones share the vecs of the original, which nobody changes"
            good "one pool less to wait for"
            bad "nothing known",
    }
}

axis! {
    /// How large a piece kcopyd copies at once (dm-spec §6).
    KcopydSubjob "kcopyd_subjob" "how much of a large copy kcopyd does in one piece" default K512 {
        /// 128 sectors.
        K64 "64k" "<= 5.3" "-" "64 KiB a piece, 16 pages in reserve"
            good "little memory in reserve" bad "a large copy keeps no more than 512 KiB in flight",
        /// 1024 sectors, a parameter.
        K512 "512k" ">= 5.4" "dm kcopyd: Increase default sub-job size to 512KB"
            "512 KiB a piece unless kcopyd_subjob_size_kb says otherwise, 128 pages in reserve"
            good "large copies keep devices busy" bad "half a megabyte of pages in reserve for each client",
    }
}

axis! {
    /// How dm gets the clones of a flush or discard that goes to several places (dm-spec §4.3).
    Duplicates "duplicates" "how dm allocates the duplicates of a flush or discard" default AllOrNothing {
        /// One after the other.
        Serial "serial" "<= 4.15" "-"
            "allocates and maps one clone after the other"
            good "nothing but the loop" bad "tasks that each hold some of a set's clones wait for each other",
        /// All at once, one task at a time.
        AllOrNothing "all-or-nothing" ">= 4.16-rc1" "318716ddea08"
            "allocates all without waiting, or gives all back and allocates them, waiting, under table_devices_lock"
            good "whoever has some has all" bad "a lock, and a reserve of as many clones as the largest flush",
    }
}

axis! {
    /// What is done with a piece of a split bio that its target pushes back (dm-spec §4.6); for `split: trim`.
    Requeue "requeue" "what dm puts off when a target pushes back a piece of a split bio" default TwoStages {
        /// The original, as it is by then.
        SharedOriginal "shared-original" "5.18" "7dd76d1feec7"
            "puts off the original, which by then stands for its last piece"
            good "no allocation" bad "the piece is lost and the last one done twice",
        /// A new bio for the piece.
        TwoStages "two-stages" "<= 5.17, >= 5.19" "8b211aaccb91"
            "a worker makes a bio of exactly that piece, chained to the original, and that one is put off (since 6.0; before \
             5.18 and in 5.19 pieces do not share their original, and this axis means nothing)"
            good "each piece is done once" bad "a bio of q->bio_split for each piece that comes back",
    }
}

axis! {
    /// How an empty flush gets to the devices below.
    Flush "flush" "which way a flush takes through a table" default ToDevices {
        /// Through every target.
        ThroughMap "through-map" "<= 6.11" "-" "each target maps its own copies"
            good "targets see every flush" bad "a device below several targets gets several",
        /// Past the targets, if all of them agree.
        ToDevices "to-devices" ">= 6.12" "aaa53168cbcc"
            "one flush to each device of the table without calling map, if every target sets flush_bypasses_map"
            good "no device is flushed twice" bad "only where every target of the table agrees",
    }
}

axis! {
    /// Deliberate bugs. They show that a checker or a scenario can fail; no kernel ever had them.
    Planted "planted" "a deliberate bug, to see a checker catch it" default None {
        /// No bug.
        None "none" "all" "-" "the honest engine",
        /// linear forgets to add its start sector.
        LinearNoOffset "linear-no-offset" "none" "-" "linear maps to its offset in the target without adding the start",
        /// striped rotates the stripes by one.
        StripedRotated "striped-rotated" "none" "-" "striped picks the next stripe instead of the right one",
        /// striped forgets to split at chunk boundaries.
        StripedNoBoundary "striped-no-boundary" "none" "-" "striped lets a bio run past the end of its chunk",
        /// `io->bio` is read before it is reassigned (dm-spec S5).
        CompletesOriginal "completes-original" "none" "-"
            "depth-first completes the original instead of the head clone: the original ends while pieces are in flight",
        /// A clone is not put back.
        LeaksClone "leaks-clone" "none" "-" "every clone's element stays out of its pool",
        /// An error of a piece is dropped.
        DropsError "drops-error" "none" "-" "a piece's error is not carried to the original bio",
        /// I/O is mapped while the device is suspended.
        MapsWhileSuspended "maps-while-suspended" "none" "-" "a suspended device maps bios instead of deferring them",
        /// Sleeps under a spinlock.
        SleepsAtomic "sleeps-atomic" "none" "-" "dm allocates, waiting, inside a spinlock section",
        /// A write is lost in the ramdisk.
        LosesWrites "loses-writes" "none" "-" "the ramdisk ignores every second write",
        /// Ignores the order of the lists in `sorted`.
        UnsortedLists "unsorted-lists" "none" "-" "sorted puts the remainder of the same device before lower devices",
        /// The workqueue path splits as if it were under generic_make_request.
        SplitsInWorker "splits-in-worker" "none" "-" "depth-first and trim resubmit the remainder from the workqueue too",
        /// `suspend` does not wait for what is in flight.
        SuspendNoWait "suspend-no-wait" "none" "-" "suspend returns while bios are in flight",
        /// What lives on a device is frozen after its I/O was stopped.
        FreezesLate "freezes-late" "none" "-" "suspend freezes what lives on a device after it has blocked its I/O",
        /// Tables with holes are loaded.
        AcceptsGaps "accepts-gaps" "none" "-" "table load does not look whether targets adjoin",
        /// Control operations take their locks in two orders.
        LocksBackwards "locks-backwards" "none" "-" "resume takes the hash lock under the suspend lock, remove the other way round",
        /// Assigning flags to `bi_rw` wipes out the operation (dm-spec S24).
        FlagsClobberOp "flags-clobber-op" "none" "before 1eff9d322a44" "setting a bio's flags overwrites its operation too",
        /// kcopyd forgets that an I/O failed.
        KcopydDropsError "kcopyd-drops-error" "none" "-" "kcopyd tells its callers that every copy went well",
        /// kcopyd writes the pieces of a sequential copy as they come.
        KcopydUnordered "kcopyd-unordered" "none" "-" "kcopyd writes the pieces of a sequential copy in any order",
        /// striped sends every copy of a discard to its first stripe.
        StripedOneCopy "striped-one-copy" "none" "-" "striped sends every copy of a discard to the first stripe",
        /// delay forgets what it holds.
        DelayDropsHeld "delay-drops-held" "none" "-" "delay throws away what it holds when a suspend begins",
        /// What is pushed back waits behind what came later.
        PushedBackLast "pushed-back-last" "none" "-" "what a noflush suspend pushes back goes to the end of the list",
        /// flakey fails a second too late.
        FlakeyOffByOne "flakey-off-by-one" "none" "-" "flakey goes down a second after the up interval has ended",
        /// Bios that are held when their device goes never end.
        UnplugKeepsHeld "unplug-keeps-held" "none" "-" "a device that is removed keeps the bios that it holds",
        /// A deep queue in name only.
        OneChannel "one-channel" "none" "-" "a timed device serves one bio at a time, whatever its depth",
        /// Bad blocks never heal.
        DustKeepsBad "dust-keeps-bad" "none" "-" "dust leaves a bad block on its list when it has been written to",
        /// A mirror does not wait for all of its legs.
        MirrorAcksEarly "mirror-acks-early" "none" "-" "mirror ends a write when its first leg has it",
        /// A mirror believes that its legs are alike.
        MirrorSkipsResync "mirror-skips-resync" "none" "-" "mirror marks a region as in sync without copying it",
        /// Rescuing where there is nothing to rescue (dm-spec S9).
        UngatedRescue "ungated-rescue" "none" "-" "an exhausted set punts bios without looking whether the task has a bio_list",
        /// An exception counts as committed before it is written.
        StoreTellsEarly "store-tells-early" "none" "-"
            "the persistent store says that an exception is committed before its area is written",
        /// A full area is written without an end behind it.
        StoreKeepsNextArea "store-keeps-next-area" "none" "-"
            "the persistent store does not zero the next area before it writes a full one",
        /// Areas are written without a flush.
        StoreNoFlush "store-no-flush" "none" "-" "the persistent store writes its areas without preflush and FUA",
        /// A write to the origin does not ask the snapshots.
        SnapForgetsOrigin "snap-forgets-origin" "none" "-" "a write to the origin makes no exceptions in its snapshots",
        /// A full COW device is not noticed.
        SnapIgnoresFull "snap-ignores-full" "none" "-"
            "a snapshot that has no room for an exception is neither invalidated nor marked as overflowed",
        /// The metadata is not counted as used.
        SnapUsageLies "snap-usage-lies" "none" "-" "a snapshot's status leaves its metadata out of what is allocated",
        /// Pending exceptions are not given back.
        SnapKeepsPending "snap-keeps-pending" "none" "-" "a pending exception is not freed when its copy has ended",
        /// The end of a copy does not wait for reads.
        SnapNoDrain "snap-no-drain" "none" "-" "reads of the origin's old data are not waited for",
        /// Copies count for ever.
        SnapThrottleLeaks "snap-throttle-leaks" "none" "-" "a snapshot's throttle goes on counting copies that have ended",
        /// One copy too many.
        SnapThrottleOffByOne "snap-throttle-off-by-one" "none" "-" "a snapshot's throttle allows one copy more than its threshold",
        /// `wait` without what it is about.
        SnapThrottleWaitsLocked "snap-throttle-waits-locked" "none" "-" "the throttle wait keeps _origins_lock while it waits",
        /// `do_origin(limit = true)` in `retry_origin_bios`.
        SnapThrottlesWorker "snap-throttles-worker" "none" "-" "the worker of kcopyd, too, waits for the throttle",
        /// Discards of several chunks stay in one piece.
        SnapDiscardsUnsplit "snap-discards-unsplit" "none" "-" "a snapshot takes a discard of several chunks as one of the first",
        /// A piece of two chunks is copied as if it were one.
        OriginSplitsWide "origin-splits-wide" "none" "-" "an origin splits writes at every second chunk of its snapshots",
        /// Chunks that nobody has.
        OriginSplitsAlone "origin-splits-alone" "none" "-" "an origin splits writes, although it has no snapshots",
        /// A flush stops at the first place.
        FlushFirstOnly "flush-first-only" "none" "-" "dm sends a flush to the first target, or device, of a table only",
        /// A target gets one copy of a flush.
        FlushOneCopy "flush-one-copy" "none" "-" "dm sends one copy of a flush to a target that wants several",
        /// The last close does not remove.
        ForgetsRemoval "forgets-removal" "none" "-" "closing a device for the last time does not carry out a deferred removal",
        /// Errors raise no events.
        EventsLost "events-lost" "none" "-" "striped raises no event when a device fails",
        /// Status lines carry a wrong word.
        StatusLies "status-lies" "none" "-" "striped reports every stripe as healthy, whatever happened",
    }
}

/// Writes [`Variants`] from its axes, so that none of them can be forgotten anywhere.
macro_rules! variants {
    ($($(#[$doc:meta])* $field:ident: $Axis:ident,)+) => {
        /// One value per axis: which kernel's algorithms a machine runs.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct Variants { $($(#[$doc])* pub $field: $Axis,)+ }

        impl Variants {
            /// Every axis.
            pub const AXES: &'static [AxisInfo] = &[$($Axis::INFO,)+];

            /// The chosen value of every axis, by name.
            pub fn names(&self) -> Vec<(&'static str, &'static str)> {
                vec![$(($Axis::INFO.name, self.$field.name()),)+]
            }

            /// Whether there is such an axis and such a value; sets it.
            fn try_set(&mut self, axis: &str, value: &str) -> Option<bool> {
                $(if axis == $Axis::INFO.name {
                    return Some($Axis::parse(value).map(|value| self.$field = value).is_some());
                })+
                None
            }
        }
    };
}

variants! {
    /// Bio submission.
    gmr: Gmr,
    /// Bio splitting in dm.
    split: Split,
    /// Rescuing exhausted bio_sets.
    rescue: Rescue,
    /// Which sets have rescuers.
    rescuer_sets: RescuerSets,
    /// Bios that wait with a blocked task.
    offload: Offload,
    /// The set for splits of a dm device.
    bio_split: BioSplitSet,
    /// Status of chained pieces.
    chain_status: ChainStatus,
    /// Vecs of clones.
    clone_vecs: CloneVecs,
    /// Allocating the duplicates of a flush or discard.
    duplicates: Duplicates,
    /// Pushing back a piece of a split bio.
    requeue: Requeue,
    /// The way of a flush.
    flush: Flush,
    /// Size of kcopyd's pieces.
    kcopyd_subjob: KcopydSubjob,
    /// How many chunks are copied at once.
    cow_throttle: CowThrottle,
    /// A snapshot's lock.
    snap_lock: SnapLock,
    /// Whether reads of the origin are tracked.
    chunk_tracking: ChunkTracking,
    /// How the end of a copy waits for them.
    pending_poll: PendingPoll,
    /// The boundary of an origin without snapshots.
    origin_boundary: OriginBoundary,
    /// A transient store without a chunk size.
    zero_chunk: ZeroChunk,
    /// Structures with pools in them.
    embedded_pools: EmbeddedPools,
    /// The order of commits.
    commit_order: CommitOrder,
    /// A deliberate bug.
    planted: Planted,
}

impl Variants {
    /// Sets one axis by name.
    ///
    /// # Errors
    /// [`VariantError`] when the catalogue has no such axis or value; the message lists what there is.
    pub fn set(&mut self, axis: &str, value: &str) -> Result<(), VariantError> {
        let names = |names: Vec<&str>| names.join(", ");
        match self.try_set(axis, value) {
            Some(true) => Ok(()),
            Some(false) => {
                let values = Self::axis(axis).map_or_else(Vec::new, |info| info.values.to_vec());
                let known = names(values.iter().map(|value| value.name).collect());
                Err(VariantError::Value { axis: axis.to_owned(), value: value.to_owned(), known })
            }
            None => {
                let known = names(Self::AXES.iter().map(|info| info.name).collect());
                Err(VariantError::Axis { axis: axis.to_owned(), known })
            }
        }
    }

    /// What the catalogue says about an axis, if there is one of that name.
    pub fn axis(name: &str) -> Option<&'static AxisInfo> {
        Self::AXES.iter().find(|info| info.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_axis_can_be_set_by_name() {
        for axis in Variants::AXES {
            for value in axis.values {
                Variants::default().set(axis.name, value.name).unwrap();
            }
            assert!(axis.values.iter().any(|value| value.name == axis.default));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let axis = Variants::default().set("gmrr", "fifo").unwrap_err().to_string();
        assert!(axis.contains("gmr, split, rescue"), "{axis}");
        let value = Variants::default().set("gmr", "lifo").unwrap_err().to_string();
        assert!(value.contains("recurse, fifo, hidden, sorted"), "{value}");
    }
}
