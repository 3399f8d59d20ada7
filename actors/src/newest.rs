//! Keeping the newest of something, so that what is kept is bounded.

use std::collections::VecDeque;

/// Keeps one more, and of all at most the newest `most`.
pub(crate) fn keep_newest<T>(kept: &mut VecDeque<T>, newest: T, most: usize) {
    if kept.len() >= most {
        kept.pop_front();
    }
    kept.push_back(newest);
}
