//! The bytes of one frame: pieces of a recording that the socket gets in one write.
//!
//! Knows their order. Copies none of them.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Pieces of a body, in their order. None of them is empty.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    first: Bytes,
    rest: VecDeque<Bytes>,
    length: usize,
}

impl Pieces {
    /// Adds a piece behind all others.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if self.first.is_empty() {
            self.first = piece;
        } else if !piece.is_empty() {
            self.rest.push_back(piece);
        }
    }

    /// Bytes of all pieces.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The number of pieces.
    pub(crate) fn count(&self) -> usize {
        usize::from(!self.first.is_empty()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl From<Bytes> for Pieces {
    fn from(piece: Bytes) -> Self {
        let mut pieces = Self::default();
        pieces.push(piece);
        pieces
    }
}

impl Buf for Pieces {
    fn remaining(&self) -> usize {
        self.length
    }

    fn chunk(&self) -> &[u8] {
        &self.first
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = std::iter::once(&self.first).chain(&self.rest);
        let pieces = pieces.filter(|piece| !piece.is_empty());
        let filled = slices.iter_mut().zip(pieces);
        filled
            .map(|(slice, piece)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let mut count = count.min(self.length);
        self.length -= count;
        while count > 0 && count >= self.first.len() {
            count -= self.first.len();
            self.first = self.rest.pop_front().unwrap_or_default();
        }
        self.first.advance(count);
    }

    /// Without a copy where the bytes are the whole of one piece or a part of it.
    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        let length = length.min(self.length);
        if length > 0 && length < self.first.len() {
            self.length -= length;
            return self.first.split_to(length);
        }
        if length == self.first.len() {
            self.length -= length;
            let next = self.rest.pop_front().unwrap_or_default();
            return std::mem::replace(&mut self.first, next);
        }
        let mut copy = BytesMut::with_capacity(length);
        copy.put(self.take(length));
        copy.freeze()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes as one vectored write would send them.
    fn in_one_write(pieces: &Pieces) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 32];
        let filled = pieces.chunks_vectored(&mut slices);
        slices
            .iter()
            .take(filled)
            .flat_map(|slice| slice.iter().copied())
            .collect()
    }

    proptest! {
        #[test]
        fn bytes_come_out_in_order_however_they_are_taken(
            given in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..8),
            steps in prop::collection::vec((any::<bool>(), 0_usize..20), 0..20),
        ) {
            let mut expected: Vec<u8> = given.concat();
            let mut pieces = Pieces::default();
            given.into_iter().for_each(|piece| pieces.push(piece.into()));
            for (copies, count) in steps {
                let count = count.min(pieces.remaining());
                let rest = expected.split_off(count);
                if copies {
                    prop_assert_eq!(&pieces.copy_to_bytes(count)[..], &expected[..]);
                } else {
                    pieces.advance(count);
                }
                expected = rest;
                prop_assert_eq!(pieces.remaining(), expected.len());
                prop_assert_eq!(&in_one_write(&pieces), &expected);
                prop_assert_eq!(pieces.chunk().is_empty(), expected.is_empty());
            }
        }
    }
}
