//! Changes to a text, noted while it is read and made at the end.

use std::ops::Range;

/// Pieces of new text, by where they go. Several at one place keep the order in which they were noted.
#[derive(Debug, Default)]
pub(super) struct Edits {
    list: Vec<Edit>,
    /// All new text, one piece behind the other.
    text: Vec<u8>,
}

#[derive(Debug)]
struct Edit {
    /// What it replaces; empty for an insertion.
    place: Range<usize>,
    text: Range<usize>,
}

/// One of the edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EditId(usize);

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Puts `parts` in place of a piece of the source.
    pub(super) fn replace(&mut self, place: Range<usize>, parts: &[&[u8]]) -> EditId {
        let text = self.keep(parts);
        self.list.push(Edit { place, text });
        EditId(self.list.len() - 1)
    }

    /// Puts `parts` in front of the byte at `at`.
    pub(super) fn insert(&mut self, at: usize, parts: &[&[u8]]) -> EditId {
        self.replace(at..at, parts)
    }

    /// Gives an edit another text.
    pub(super) fn reword(&mut self, edit: EditId, parts: &[&[u8]]) {
        self.list[edit.0].text = self.keep(parts);
    }

    /// Puts `front` ahead of the text of an edit.
    pub(super) fn lead(&mut self, edit: EditId, front: &[u8]) {
        let old = self.list[edit.0].text.clone();
        let start = self.text.len();
        self.text.extend_from_slice(front);
        self.text.extend_from_within(old);
        self.list[edit.0].text = start..self.text.len();
    }

    fn keep(&mut self, parts: &[&[u8]]) -> Range<usize> {
        let start = self.text.len();
        for part in parts {
            self.text.extend_from_slice(part);
        }
        start..self.text.len()
    }

    /// The source with every change made.
    pub(super) fn apply(mut self, source: &[u8]) -> Vec<u8> {
        // nearly in order already: only what opens a construct is noted late; what goes in front of a token comes
        // before what replaces it
        self.list.sort_by_key(|edit| (edit.place.start, edit.place.end));
        let mut out = Vec::with_capacity(source.len() + self.text.len());
        let mut done = 0;
        for edit in &self.list {
            out.extend_from_slice(&source[done..edit.place.start]);
            out.extend_from_slice(&self.text[edit.text.clone()]);
            done = edit.place.end;
        }
        out.extend_from_slice(&source[done..]);
        out
    }
}
