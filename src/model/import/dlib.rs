//! Reads dlib's serialisation format: integers of variable length, floats as mantissa and exponent,
//! and the raw tensors of its networks.

use super::{ImportError, floats};

/// A position in a file that dlib wrote.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    /// Bytes not read yet.
    const fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], ImportError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or(ImportError::Truncated { len: self.bytes.len(), what })?;
        self.at += count;
        Ok(taken)
    }

    /// An integer: one control byte (bit 7 the sign, the low four bits the number of bytes), then
    /// that many bytes, lowest first.
    pub(crate) fn int(&mut self, what: &'static str) -> Result<i64, ImportError> {
        let at = self.at;
        let control = self.take(1, what)?[0];
        let size = usize::from(control & 0x0f);
        if control & 0x70 != 0 || !(1..=8).contains(&size) {
            return Err(unexpected(at, "an integer", format!("control byte {control:#04x}")));
        }
        let magnitude = self.take(size, what)?.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        let value = i64::try_from(magnitude).ok();
        let value = value.ok_or_else(|| unexpected(at, "a 63-bit integer", magnitude.to_string()))?;
        Ok(if control & 0x80 == 0 { value } else { -value })
    }

    /// An integer that must be `expected`.
    pub(crate) fn exactly(&mut self, expected: i64, what: &'static str) -> Result<(), ImportError> {
        let at = self.at;
        let found = self.int(what)?;
        if found == expected { Ok(()) } else { Err(unexpected(at, what, found.to_string())) }
    }

    /// A number of elements that each take at least `least` bytes: larger than the rest of the
    /// file can hold is an error, so the answer is safe to allocate.
    pub(crate) fn count(&mut self, least: usize, what: &'static str) -> Result<usize, ImportError> {
        let at = self.at;
        let found = self.int(what)?;
        let fits = usize::try_from(found).ok().filter(|count| count.saturating_mul(least) <= self.remaining());
        fits.ok_or_else(|| unexpected(at, what, format!("{found}, more than the file holds")))
    }

    /// A finite float: mantissa × 2^exponent.
    pub(crate) fn float(&mut self, what: &'static str) -> Result<f32, ImportError> {
        let at = self.at;
        let mantissa = self.int(what)?;
        let exponent = self.int(what)?;
        let value = i16::try_from(exponent).ok().map(|exponent| mantissa as f64 * 2_f64.powi(exponent.into()));
        let value = value.map(|value| value as f32).filter(|value| value.is_finite());
        value.ok_or_else(|| unexpected(at, what, format!("{mantissa} * 2^{exponent}, not a finite float")))
    }

    /// Moves behind the next occurrence of the text `tag`, written with its length before it.
    pub(crate) fn seek(&mut self, tag: &'static str) -> Result<(), ImportError> {
        let mut needle = vec![1, tag.len() as u8];
        needle.extend_from_slice(tag.as_bytes());
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest.windows(needle.len()).position(|window| window == needle);
        self.at += found.ok_or(ImportError::Truncated { len: self.bytes.len(), what: tag })? + needle.len();
        Ok(())
    }

    /// A tensor of a network: version 2, four extents, then raw 32-bit floats.
    pub(crate) fn tensor(&mut self, name: &str, shape: [usize; 4]) -> Result<Vec<f32>, ImportError> {
        self.exactly(2, "version 2 of a tensor")?;
        let mut found = Vec::with_capacity(4);
        for _ in 0..4 {
            found.push(self.count(0, "the extent of a tensor")?);
        }
        if found != shape {
            return Err(ImportError::Shape { name: name.to_owned(), expected: shape.to_vec(), found });
        }
        let size = shape.iter().product::<usize>() * 4;
        let values: Vec<f32> = floats(self.take(size, "a tensor")?).collect();
        if values.iter().all(|value| value.is_finite()) {
            Ok(values)
        } else {
            Err(ImportError::NotFinite { name: name.to_owned() })
        }
    }
}

fn unexpected(at: usize, expected: &'static str, found: String) -> ImportError {
    ImportError::Unexpected { at, expected, found }
}

/// Writes the format, for tests.
#[cfg(test)]
pub(crate) mod sample {
    pub(crate) fn int(out: &mut Vec<u8>, value: i64) {
        let bytes = value.unsigned_abs().to_le_bytes();
        let size = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0) + 1;
        out.push(size as u8 | if value < 0 { 0x80 } else { 0 });
        out.extend(&bytes[..size]);
    }

    /// Exact for values that are multiples of 1/1024 and below 2^50.
    pub(crate) fn float(out: &mut Vec<u8>, value: f32) {
        int(out, (f64::from(value) * 1024.0) as i64);
        int(out, -10);
    }

    pub(crate) fn tag(out: &mut Vec<u8>, tag: &str) {
        int(out, tag.len() as i64);
        out.extend(tag.as_bytes());
    }

    pub(crate) fn tensor(out: &mut Vec<u8>, shape: [usize; 4], value: f32) {
        int(out, 2);
        for extent in shape {
            int(out, extent as i64);
        }
        out.extend((0..shape.iter().product()).flat_map(|_| value.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_and_floats_come_back(number in -(1_i64 << 62)..1 << 62, thousandths in -1_000_000_i32..1_000_000) {
            let value = thousandths as f32 / 1024.0;
            let mut bytes = Vec::new();
            sample::int(&mut bytes, number);
            sample::float(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.int("a number"), Ok(number));
            prop_assert_eq!(reader.float("a number"), Ok(value));
            prop_assert_eq!(reader.remaining(), 0);
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Reader::new(&bytes).int("");
            let _ = Reader::new(&bytes).float("");
            let _ = Reader::new(&bytes).tensor("", [1, 2, 3, 4]);
            let count = Reader::new(&bytes).count(4, "");
            prop_assert!(count.is_err() || count.is_ok_and(|count| count * 4 <= bytes.len()));
        }
    }

    #[test]
    fn a_count_larger_than_the_file_is_refused() {
        let mut bytes = Vec::new();
        sample::int(&mut bytes, 1 << 40);
        let error = Reader::new(&bytes).count(4, "the number of trees").unwrap_err().to_string();
        assert!(error.contains("more than the file holds"), "{error}");
    }

    #[test]
    fn a_float_beyond_range_is_refused() {
        let mut bytes = Vec::new();
        sample::int(&mut bytes, 1);
        sample::int(&mut bytes, 200);
        assert!(Reader::new(&bytes).float("a weight").is_err());
        let mut infinity = Vec::new();
        sample::int(&mut infinity, 0);
        sample::int(&mut infinity, 32_000);
        assert!(Reader::new(&infinity).float("a weight").is_err());
    }
}
