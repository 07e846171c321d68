//! Arrays of bytes out of numpy's `.npz` archives.

use std::io::{Cursor, Read};

/// Largest array that is read: far above any data set of small pictures.
const MAX_BYTES: u64 = 1 << 32;

/// An array of unsigned bytes, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByteArray {
    /// Its sides; empty for a single number.
    pub shape: Vec<usize>,
    /// The numbers.
    pub data: Vec<u8>,
}

/// Why an array cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpzError {
    /// Not a zip archive.
    #[error("not an .npz archive: {0}")]
    Archive(String),
    /// No such array.
    #[error("the archive has no array \"{name}\"; it has {found}")]
    Missing {
        /// As asked for.
        name: String,
        /// What there is.
        found: String,
    },
    /// An array of another kind, or a damaged one.
    #[error("array \"{name}\": {reason}")]
    Array {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// Reads the array called `name` from the bytes of an archive.
///
/// # Errors
/// [`NpzError`] when it is missing, damaged, or not made of unsigned bytes in C order.
pub fn bytes(archive: &[u8], name: &str) -> Result<ByteArray, NpzError> {
    let mut archive =
        zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| NpzError::Archive(error.to_string()))?;
    let names = archive.file_names().filter_map(Result::ok);
    let mut found: Vec<String> = names.map(|name| name.trim_end_matches(".npy").to_owned()).collect();
    found.sort();
    let missing = |_| NpzError::Missing { name: name.to_owned(), found: found.join(", ") };
    let member = archive.by_name(&format!("{name}.npy")).map_err(missing)?;
    let failed = |reason: String| NpzError::Array { name: name.to_owned(), reason };
    let mut npy = Vec::new();
    member.take(MAX_BYTES).read_to_end(&mut npy).map_err(|error| failed(error.to_string()))?;
    parse(&npy).map_err(failed)
}

/// The format of numpy's `lib.format`, versions 1 to 3: magic, version, length and text of a header, data.
fn parse(npy: &[u8]) -> Result<ByteArray, String> {
    let cut = || "is cut short".to_owned();
    let (magic, rest) = npy.split_at_checked(8).ok_or_else(cut)?;
    if magic[..6] != *b"\x93NUMPY" {
        return Err("is not in numpy's format".into());
    }
    let wide = magic[6] >= 2;
    let (length, rest) = rest.split_at_checked(if wide { 4 } else { 2 }).ok_or_else(cut)?;
    let length = length.iter().rev().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = String::from_utf8_lossy(header);
    let kind = value(&header, "descr")?.trim_matches(['\'', '"']);
    if kind != "|u1" {
        return Err(format!("holds \"{kind}\", unsigned bytes (\"|u1\") are wanted"));
    }
    if value(&header, "fortran_order")? != "False" {
        return Err("is stored column by column".into());
    }
    let sides = value(&header, "shape")?.split(',').map(str::trim).filter(|side| !side.is_empty());
    let shape: Vec<usize> =
        sides.map(str::parse).collect::<Result<_, _>>().map_err(|error| format!("has no readable shape: {error}"))?;
    let count = shape.iter().try_fold(1_usize, |count, side| count.checked_mul(*side));
    if count != Some(data.len()) {
        return Err(format!("has {} bytes, its shape {shape:?} asks for another number", data.len()));
    }
    Ok(ByteArray { shape, data: data.to_vec() })
}

/// The value of a key of the header, a Python dictionary; without the brackets of a tuple.
fn value<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let missing = || format!("has no {key} in its header");
    let (_, rest) = header.split_once(&format!("'{key}':")).ok_or_else(missing)?;
    let rest = rest.trim_start();
    let (open, end) = if rest.starts_with('(') { (1, ')') } else { (0, ',') };
    Ok(rest[open..].split(end).next().ok_or_else(missing)?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    fn npz(name: &str, npy: &[u8]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(npy).unwrap();
        writer.finish().unwrap().into_inner()
    }

    const HEADER: &str = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";

    #[test]
    fn an_array_is_read_with_its_shape() {
        let archive = npz("images.npy", &npy(HEADER, &[1, 2, 3, 4, 5, 6]));
        let array = bytes(&archive, "images").unwrap();
        assert_eq!((array.shape, array.data), (vec![2, 3], vec![1, 2, 3, 4, 5, 6]));
        let line = npz("n.npy", &npy("{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }", &[7, 8, 9]));
        assert_eq!(bytes(&line, "n").unwrap().shape, [3]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let archive = npz("images.npy", &npy(HEADER, &[1, 2, 3]));
        for (archive, name, said) in [
            (b"no".to_vec(), "images", "archive"),
            (archive.clone(), "votes", "it has images"),
            (archive, "images", "[2, 3]"),
            (npz("a.npy", b"\x93NUM"), "a", "cut short"),
            (npz("a.npy", &npy(&HEADER.replace("|u1", "<f4"), &[])), "a", "<f4"),
            (npz("a.npy", &npy(&HEADER.replace("False", "True"), &[])), "a", "column"),
        ] {
            let error = bytes(&archive, name).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }

    proptest! {
        #[test]
        fn damaged_arrays_never_panic(npy in prop::collection::vec(any::<u8>(), 0..80), cut in 0_usize..80) {
            let _ = parse(&npy);
            let _ = parse(&super::tests::npy(HEADER, &npy)[..cut.min(npy.len())]);
        }
    }
}
