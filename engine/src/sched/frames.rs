//! [`Frame`]: the chain of kernel functions that a task is in, for reports that read like hung-task stacks.
//!
//! A frame is a node of one interned calling-context tree: entering a function finds or makes the child of that name
//! and leaving goes back to the parent, so that keeping a chain with a lock or a pool element costs one pointer.
//!
//! Invariants: nodes are immutable once made and never freed (their number is bounded by the distinct call chains of
//! the program); equal chains are the same node; nothing that decides anything depends on a frame.
//! Not here: source locations (see [`super::waits::Site`]).

use std::fmt;
use std::ptr;
use std::sync::OnceLock;

/// A chain of function names, innermost last. Copying one is copying a pointer.
#[derive(Clone, Copy)]
pub struct Frame(&'static Node);

struct Node {
    name: &'static str,
    parent: Option<Frame>,
    first_child: OnceLock<&'static Node>,
    next_sibling: OnceLock<&'static Node>,
}

static ROOT: Node = Node { name: "", parent: None, first_child: OnceLock::new(), next_sibling: OnceLock::new() };

impl Frame {
    /// The empty chain.
    pub fn root() -> Self {
        Self(&ROOT)
    }

    /// The chain one call deeper.
    #[inline]
    pub fn child(self, name: &'static str) -> Self {
        // The function that was called from here first is usually the one that is called again.
        match self.0.first_child.get() {
            Some(node) if ptr::eq(node.name, name) => Self(node),
            _ => self.find_child(name),
        }
    }

    fn find_child(self, name: &'static str) -> Self {
        let mut slot = &self.0.first_child;
        loop {
            match slot.get() {
                Some(node) if ptr::eq(node.name, name) || node.name == name => return Self(node),
                Some(node) => slot = &node.next_sibling,
                // Lost races only cost a walk to the next sibling.
                None => drop(slot.set(self.new_child(name))),
            }
        }
    }

    #[cold]
    fn new_child(self, name: &'static str) -> &'static Node {
        Box::leak(Box::new(Node {
            name,
            parent: Some(self),
            first_child: OnceLock::new(),
            next_sibling: OnceLock::new(),
        }))
    }

    /// The function names, innermost first, as a stack dump prints them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let mut node = Some(self.0);
        std::iter::from_fn(move || {
            let this = node?;
            node = this.parent.map(|parent| parent.0);
            (!this.name.is_empty()).then_some(this.name)
        })
    }

    /// Whether both are the same chain.
    pub fn same(self, other: Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(" <- "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_chains_are_one_node() {
        let first = Frame::root().child("submit_bio").child("dm_submit_bio");
        let second = Frame::root().child("submit_bio").child("dm_submit_bio");
        assert!(first.same(second));
        assert!(!first.same(Frame::root().child("dm_submit_bio")));
        assert_eq!(first.names().collect::<Vec<_>>(), ["dm_submit_bio", "submit_bio"]);
    }

    #[test]
    fn threads_that_race_to_make_a_node_get_the_same() {
        let chains = std::thread::scope(|scope| {
            let handles: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| Frame::root().child("race").child("to").child("the").child("leaf")))
                .collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(chains.iter().all(|chain| chain.same(chains[0])));
    }
}
