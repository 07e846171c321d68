//! Whom the inputs of an enrolment show: folders of people, pictures, recordings.

use crate::frame::{EncodedPixels, Pixels};
use crate::replay;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Somebody, and pictures of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Friend {
    pub(in crate::cli) name: String,
    pub(in crate::cli) pictures: Vec<PathBuf>,
}

/// The people of a folder, by name: a folder of pictures each, or pictures named after their person.
pub(in crate::cli) fn people_in(folder: &Path) -> anyhow::Result<Vec<Friend>> {
    let unreadable = || format!("cannot read the gallery {}", folder.display());
    let mut friends = Vec::new();
    for picture in replay::picture_files(folder).with_context(unreadable)? {
        friends.push(Friend { name: name_of(picture.file_stem())?, pictures: vec![picture] });
    }
    for path in folders_in(folder).with_context(unreadable)? {
        let pictures = replay::picture_files(&path).with_context(unreadable)?;
        anyhow::ensure!(!pictures.is_empty(), "no JPEG or PNG picture in {}", path.display());
        friends.push(Friend { name: name_of(path.file_name())?, pictures });
    }
    anyhow::ensure!(
        !friends.is_empty(),
        "nobody in the gallery {}: expected a folder of pictures per person, or pictures named after their person",
        folder.display()
    );
    // A folder's order is the file system's; ids are given in this one.
    friends.sort_by(|a, b| (&a.name, &a.pictures).cmp(&(&b.name, &b.pictures)));
    Ok(friends)
}

fn folders_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

fn name_of(part: Option<&std::ffi::OsStr>) -> anyhow::Result<String> {
    let name = part.and_then(|part| part.to_str()).context("a name in the gallery is not UTF-8")?;
    Ok(name.to_owned())
}

/// The bytes of a picture, to be looked at by [`encoded`].
pub(in crate::cli) fn read_picture(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A picture file's contents as an image.
pub(in crate::cli) const fn encoded(data: &[u8]) -> Pixels<'_> {
    Pixels::Encoded(EncodedPixels { format: "", data })
}

/// The name of a file, without the folders it is in, which may tell more about the user than is needed.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gallery_is_folders_and_named_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(people_in(folder.path()).unwrap_err().to_string().contains("nobody"));
        std::fs::create_dir(at("Anna")).unwrap();
        assert!(people_in(folder.path()).unwrap_err().to_string().contains("Anna"));
        for name in ["Anna/2.jpg", "Anna/1.PNG", "Ben.jpeg", "readme.txt"] {
            std::fs::write(at(name), "").unwrap();
        }
        let anna = Friend { name: "Anna".into(), pictures: vec![at("Anna/1.PNG"), at("Anna/2.jpg")] };
        let ben = Friend { name: "Ben".into(), pictures: vec![at("Ben.jpeg")] };
        assert_eq!(people_in(folder.path()).unwrap(), [anna, ben]);
        assert!(people_in(&at("nowhere")).unwrap_err().to_string().contains("nowhere"));
    }
}
