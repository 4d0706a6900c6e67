//! As much DER (ITU-T X.690) as a `SubjectPublicKeyInfo` needs.

/// What is left to read.
pub(super) struct Reader<'d>(&'d [u8]);

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const SEQUENCE: u8 = 0x30;

impl<'d> Reader<'d> {
    pub(super) const fn new(bytes: &'d [u8]) -> Self {
        Self(bytes)
    }

    /// The content of the next element, which must have this tag and the shortest form of its length.
    pub(super) fn element(&mut self, tag: u8) -> Option<&'d [u8]> {
        if self.byte()? != tag {
            return None;
        }
        let (length, least) = match self.byte()? {
            short @ 0..=0x7f => (usize::from(short), 0),
            0x81 => (usize::from(self.byte()?), 0x80),
            0x82 => (usize::from(self.byte()?) * 256 + usize::from(self.byte()?), 0x100),
            _ => return None,
        };
        let (content, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        (length >= least).then_some(content)
    }

    /// A positive integer in its shortest form.
    pub(super) fn positive(&mut self) -> Option<&'d [u8]> {
        match self.element(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            [first, ..] if *first == 0 || *first >= 0x80 => None,
            number => Some(number).filter(|number| !number.is_empty()),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_have_one_form() {
        let long = [[SEQUENCE, 0x81, 0x80].as_slice(), &[7; 0x80]].concat();
        assert_eq!(Reader::new(&long).element(SEQUENCE), Some([7; 0x80].as_slice()));
        assert_eq!(Reader::new(&[SEQUENCE, 1, 7]).element(SEQUENCE), Some([7].as_slice()));
        for bad in [[SEQUENCE, 0x81, 1, 7].as_slice(), &[SEQUENCE, 0x82, 0, 1, 7], &[SEQUENCE, 2, 7], &[SEQUENCE], &[]]
        {
            assert_eq!(Reader::new(bad).element(SEQUENCE), None, "{bad:?}");
        }
        assert_eq!(Reader::new(&[INTEGER, 2, 0, 0x80]).positive(), Some([0x80].as_slice()));
        for bad in [[INTEGER, 1, 0x80].as_slice(), &[INTEGER, 2, 0, 0x7f], &[INTEGER, 1, 0], &[INTEGER, 0]] {
            assert_eq!(Reader::new(bad).positive(), None, "{bad:?}");
        }
    }
}
