//! Persistent exception stores of two sides, beside each other.
//!
//! Equal are stores whose devices hold the same bytes. In which order exceptions come is free where several writers are at
//! work, and so are the chunks that they get: stores with the same header in which the same old chunks went to the same data
//! are equivalent. So are stores that both sides have marked invalid, whatever they list: copies that are under way when a
//! snapshot becomes invalid are not noted any more, so how many were is a matter of time, and nobody reads it again. Anything
//! else differs.
//!
//! Invariant: what only one side has, or could read, differs.
//! Not here: what is in a store ([`StoreSeen`]).

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Aspect, Difference};
use crate::script::StoreSeen;

/// How many stores of a cell are how alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stores {
    /// Byte for byte.
    pub equal: usize,
    /// The same exceptions in another order.
    pub equivalent: usize,
    /// Otherwise.
    pub differ: usize,
}

impl Stores {
    /// All of them.
    pub const fn count(self) -> usize {
        self.equal + self.equivalent + self.differ
    }

    /// Those of two cells.
    pub const fn and(self, other: Self) -> Self {
        Self {
            equal: self.equal + other.equal,
            equivalent: self.equivalent + other.equivalent,
            differ: self.differ + other.differ,
        }
    }
}

type Seen = BTreeMap<String, StoreSeen>;

/// How alike the stores of two sides are, by the names of their places, and in what they differ.
pub fn compare(engine: &Seen, kernel: &Seen) -> (Stores, Vec<Difference>) {
    let (mut stores, mut found) = (Stores::default(), Vec::new());
    let names: std::collections::BTreeSet<&String> = engine.keys().chain(kernel.keys()).collect();
    for name in names {
        let difference = |engine: String, kernel: String| Difference {
            aspect: Aspect::Cow,
            line: 0,
            what: format!("store on {name}"),
            engine,
            kernel,
        };
        let told = match (engine.get(name), kernel.get(name)) {
            (Some(ours), Some(theirs)) if are_equal(ours, theirs) => {
                stores.equal += 1;
                continue;
            }
            (Some(ours), Some(theirs)) if are_equivalent(ours, theirs) => {
                stores.equivalent += 1;
                continue;
            }
            (Some(ours), Some(theirs)) => {
                let (ours, theirs) = in_words(ours, theirs);
                difference(ours, theirs)
            }
            (ours, theirs) => {
                let said = |seen: Option<&StoreSeen>| seen.map_or_else(|| "did not come to it".to_owned(), head);
                difference(said(ours), said(theirs))
            }
        };
        stores.differ += 1;
        found.push(told);
    }
    (stores, found)
}

fn are_equal(ours: &StoreSeen, theirs: &StoreSeen) -> bool {
    ours.unreadable.is_none() && ours == theirs
}

fn are_equivalent(ours: &StoreSeen, theirs: &StoreSeen) -> bool {
    let is_told = |seen: &StoreSeen| seen.header.is_some() && seen.unreadable.is_none();
    let is_valid = |seen: &StoreSeen| seen.header.is_some_and(|(valid, ..)| valid);
    let same_header = is_told(ours) && is_told(theirs) && ours.header == theirs.header;
    same_header && (!is_valid(ours) || data(ours) == data(theirs))
}

/// Old chunks with the digests of their data, in order.
fn data(seen: &StoreSeen) -> Vec<(u64, u64)> {
    let mut data: Vec<(u64, u64)> = seen.exceptions.iter().map(|(old, _, digest)| (*old, *digest)).collect();
    data.sort_unstable();
    data
}

fn head(seen: &StoreSeen) -> String {
    let count = seen.exceptions.len();
    match (&seen.unreadable, seen.header) {
        (Some(why), _) => why.clone(),
        (None, None) => format!("no store (device {:016x})", seen.digest),
        (None, Some((valid, version, chunk))) => {
            let valid = if valid { "valid" } else { "invalid" };
            format!("{valid}, version {version}, chunks of {chunk} sectors, {count} exceptions")
        }
    }
}

/// What each of them says, with the first chunk that they do not agree about.
fn in_words(ours: &StoreSeen, theirs: &StoreSeen) -> (String, String) {
    let (mine, yours) = (data(ours), data(theirs));
    let only = |these: &[(u64, u64)], those: &[(u64, u64)]| these.iter().copied().find(|one| !those.contains(one));
    let said = |seen: &StoreSeen, only: Option<(u64, u64)>| match only {
        Some((old, digest)) => format!("{}, chunk {old} is {digest:016x}", head(seen)),
        None => head(seen),
    };
    (said(ours, only(&mine, &yours)), said(theirs, only(&yours, &mine)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(exceptions: &[(u64, u64, u64)]) -> StoreSeen {
        let exceptions = exceptions.to_vec();
        let digest = exceptions.iter().fold(1, |hash: u64, (old, new, data)| hash * 31 + old * 7 + new * 3 + data);
        StoreSeen { sectors: 64, digest, header: Some((true, 1, 8)), exceptions, unreadable: None }
    }

    fn compared(ours: StoreSeen, theirs: StoreSeen) -> (Stores, Vec<Difference>) {
        let seen = |store| BTreeMap::from([("c".to_owned(), store)]);
        compare(&seen(ours), &seen(theirs))
    }

    const STORE: [(u64, u64, u64); 2] = [(7, 2, 70), (3, 3, 30)];

    #[test]
    fn the_same_bytes_are_equal_and_another_order_is_equivalent() {
        let (stores, found) = compared(store(&STORE), store(&STORE));
        assert_eq!((stores, found.len()), (Stores { equal: 1, ..Stores::default() }, 0));
        let (stores, found) = compared(store(&STORE), store(&[(3, 2, 30), (7, 3, 70)]));
        assert_eq!((stores, found.len()), (Stores { equivalent: 1, ..Stores::default() }, 0));
        let stale = StoreSeen { digest: 1, ..store(&STORE) };
        assert_eq!(compared(store(&STORE), stale).0.equivalent, 1, "what no exception refers to is free");
    }

    #[test]
    fn other_data_another_chunk_one_more_or_another_header_differ() {
        let others = [
            store(&[(7, 2, 71), (3, 3, 30)]),
            store(&[(7, 2, 70), (4, 3, 30)]),
            store(&[(7, 2, 70)]),
            store(&[(7, 2, 70), (3, 3, 30), (3, 4, 30)]),
            StoreSeen { header: Some((false, 1, 8)), ..store(&STORE) },
            StoreSeen { header: Some((true, 1, 16)), ..store(&STORE) },
            StoreSeen { header: None, exceptions: Vec::new(), digest: 5, ..store(&STORE) },
            StoreSeen::unreadable("EIO".to_owned()),
        ];
        for other in others {
            let (stores, found) = compared(store(&STORE), other.clone());
            assert_eq!((stores.differ, found.len()), (1, 1), "{other:?}");
            assert_eq!((found[0].aspect, &*found[0].what), (Aspect::Cow, "store on c"));
        }
        let (_, found) = compared(store(&STORE), store(&[(7, 2, 71), (3, 3, 30)]));
        assert!(found[0].engine.ends_with("2 exceptions, chunk 7 is 0000000000000046"), "{}", found[0]);
    }

    #[test]
    fn what_an_invalid_store_lists_is_nobodys_business_but_both_have_to_be_invalid() {
        let invalid =
            |exceptions: &[(u64, u64, u64)], chunk| StoreSeen { header: Some((false, 1, chunk)), ..store(exceptions) };
        assert_eq!(compared(invalid(&STORE, 8), invalid(&STORE[..1], 8)).0.equivalent, 1);
        assert_eq!(compared(invalid(&STORE, 8), invalid(&STORE[..1], 16)).0.differ, 1);
        assert_eq!(compared(invalid(&STORE, 8), store(&STORE)).0.differ, 1);
        let unreadable = StoreSeen { unreadable: Some("EIO".to_owned()), ..invalid(&STORE[..1], 8) };
        assert_eq!(compared(invalid(&STORE, 8), unreadable).0.differ, 1);
    }

    #[test]
    fn what_neither_could_read_or_only_one_has_differs() {
        let unreadable = || StoreSeen::unreadable("EIO".to_owned());
        assert_eq!(compared(unreadable(), unreadable()).0.differ, 1);
        let (stores, found) = compare(&BTreeMap::from([("c".to_owned(), store(&STORE))]), &BTreeMap::new());
        assert_eq!((stores.differ, &*found[0].kernel), (1, "did not come to it"));
        assert_eq!(compare(&BTreeMap::new(), &BTreeMap::new()).0.count(), 0);
    }
}
