//! Which deliveries of one channel are dealt with, pure.
//!
//! Invariants: tags come dense from 1; a tag is reported only when it and everything before it is settled.

use std::collections::VecDeque;

/// What is kept of deliveries that are not settled, `T` each.
#[derive(Debug)]
pub(super) struct Window<T> {
    /// The tag of the first place.
    first: u64,
    places: VecDeque<Option<T>>,
    unsettled: usize,
}

impl<T> Window<T> {
    pub(super) fn new() -> Self {
        Self {
            first: 1,
            places: VecDeque::new(),
            unsettled: 0,
        }
    }

    /// Takes in the next delivery. `false` if its tag is not the next one, which is a fault of the broker.
    #[must_use]
    pub(super) fn begin(&mut self, tag: u64, kept: T) -> bool {
        if tag != self.first + self.places.len() as u64 {
            return false;
        }
        self.places.push_back(Some(kept));
        self.unsettled += 1;
        true
    }

    /// What is kept of a delivery; `None` once it is settled.
    pub(super) fn get(&self, tag: u64) -> Option<&T> {
        self.places.get(self.place(tag)?)?.as_ref()
    }

    fn place(&self, tag: u64) -> Option<usize> {
        usize::try_from(tag.checked_sub(self.first)?).ok()
    }

    /// A delivery is dealt with.
    pub(super) fn settle(&mut self, tag: u64) {
        if let Some(place) = self.place(tag)
            && let Some(kept) = self.places.get_mut(place)
            && kept.take().is_some()
        {
            self.unsettled -= 1;
        }
    }

    /// The highest tag up to which everything is settled, if that has moved since the last call.
    pub(super) fn advance(&mut self) -> Option<u64> {
        let before = self.first;
        while matches!(self.places.front(), Some(None)) {
            self.places.pop_front();
            self.first += 1;
        }
        (self.first > before).then(|| self.first - 1)
    }

    /// How many deliveries are not settled.
    pub(super) fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// How many deliveries are not settled, or wait for one that is not.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prefix_without_gaps_is_acknowledged() {
        let mut window = Window::new();
        for tag in 1..=4 {
            assert!(window.begin(tag, tag));
        }
        assert!(!window.begin(9, 9), "a gap in the tags");
        window.settle(2);
        assert_eq!(window.advance(), None);
        window.settle(1);
        assert_eq!(window.advance(), Some(2));
        window.settle(4);
        window.settle(4);
        assert_eq!(
            (window.advance(), window.get(3), window.get(4)),
            (None, Some(&3), None)
        );
        assert_eq!((window.unsettled(), window.len()), (1, 2));
        window.settle(3);
        assert_eq!((window.advance(), window.len()), (Some(4), 0));
    }
}
