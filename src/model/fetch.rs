//! Getting files: pinned Python packages by name, files by address, and reading archives.
//!
//! A package is downloaded with the user's own `pip`, so that mirrors, proxies and credentials work
//! as they do elsewhere. It is read here and never installed. (For a *source* package pip itself
//! runs the package's `setup.py` in an isolated environment to learn its metadata.) pip checks the
//! pinned hash, and so does this module.

use super::Progress;
use super::manifest::Archive;
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Largest member read out of an archive, so that a damaged header cannot ask for all memory.
pub const MAX_MEMBER_BYTES: u64 = 1 << 30;

/// Largest file fetched by address.
const MAX_DOWNLOAD_BYTES: u64 = 2 << 30;

/// One archive of a package in the Python package index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipArchive {
    /// Package name.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// Which of its archives.
    pub archive: Archive,
    /// SHA-256 of that archive, lower-case hex.
    pub sha256: String,
}

/// Why something could not be fetched or read.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// `python3` cannot be started.
    #[error(
        "{package} is fetched with pip, but python3 cannot be started ({cause}): install Python 3 with pip (on Debian and Ubuntu: apt install python3-pip)"
    )]
    NoPython {
        /// What was wanted.
        package: String,
        /// Why it did not start.
        cause: io::Error,
    },
    /// Python has no module `pip`.
    #[error(
        "{package} is fetched with pip, which this python3 does not have: install it (on Debian and Ubuntu: apt install python3-pip)"
    )]
    NoPip {
        /// What was wanted.
        package: String,
    },
    /// pip could not reach its index.
    #[error("no network: pip could not reach the package index for {package}: {said}")]
    PipOffline {
        /// What was wanted.
        package: String,
        /// pip's own words, shortened.
        said: String,
    },
    /// pip failed.
    #[error("pip could not fetch {package}: {said}")]
    Pip {
        /// What was wanted.
        package: String,
        /// pip's own words, shortened.
        said: String,
    },
    /// The address did not answer, or not with the file.
    #[error("cannot fetch {url}: {reason}")]
    Url {
        /// Where from.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// Something else came than what was pinned.
    #[error("{what} has SHA-256 {got}, expected {expected}: it is damaged or was replaced, and is not used")]
    WrongHash {
        /// What was fetched.
        what: String,
        /// As pinned.
        expected: String,
        /// As it came.
        got: String,
    },
    /// Neither a zip file nor a gzipped tar file, or a damaged one.
    #[error("cannot read the archive {path}: {reason}")]
    Archive {
        /// Which file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The archive lacks a file.
    #[error("the archive {path} has no file {member}")]
    NoMember {
        /// Which archive.
        path: PathBuf,
        /// What was looked for.
        member: String,
    },
    /// A file of this machine cannot be written.
    #[error("cannot write {path}: {cause}")]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file of this machine cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

impl fmt::Display for PipArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.version)
    }
}

impl PipArchive {
    /// What decides which file pip takes. One interpreter and one platform are named, so that every
    /// machine takes the same file, whatever its own Python is; the last tag of a many-tag wheel is
    /// given, because old versions of pip compare a single one.
    fn selection(&self) -> Vec<&str> {
        let platform = match self.archive {
            Archive::Source => return vec!["--no-binary", &self.package],
            Archive::Wheel => "manylinux_2_28_x86_64",
            Archive::WheelAarch64 => "manylinux_2_28_aarch64",
        };
        let interpreter = ["--implementation", "cp", "--python-version", "3.11"];
        [&["--only-binary", ":all:"], &interpreter[..], &["--platform", platform]].concat()
    }

    /// The command that fetches this archive by hand.
    pub fn by_hand(&self) -> String {
        let selection = self.selection().join(" ");
        format!("python3 -m pip download --no-deps {selection} {}=={}", self.package, self.version)
    }

    /// Downloads the archive into the empty or missing folder `into`, and returns the file.
    ///
    /// # Errors
    /// [`FetchError`]: no Python, no pip, no network, or another file than the pinned one.
    pub fn download(&self, into: &Path, progress: &mut dyn Progress) -> Result<PathBuf, FetchError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |cause| FetchError::Unwritable { path, cause }
        };
        // pip runs in that folder, where a relative path would mean another place.
        let into = &std::path::absolute(into).map_err(unwritable(into))?;
        std::fs::create_dir_all(into).map_err(unwritable(into))?;
        let requirements = into.with_extension("requirements");
        let line = format!("{}=={} --hash=sha256:{}\n", self.package, self.version, self.sha256);
        std::fs::write(&requirements, line).map_err(unwritable(&requirements))?;
        progress.begin(&format!("fetching {self} (pip)"), None);
        let ran = self.run_pip(into, &requirements);
        progress.end();
        ran?;
        let file = only_file(into)?;
        let got = sha256_of(&file).map_err(|cause| FetchError::Unreadable { path: file.clone(), cause })?;
        if got == self.sha256 {
            Ok(file)
        } else {
            Err(FetchError::WrongHash { what: self.to_string(), expected: self.sha256.clone(), got })
        }
    }

    fn run_pip(&self, into: &Path, requirements: &Path) -> Result<(), FetchError> {
        let ended = Command::new("python3")
            .args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"])
            .args(["--require-hashes", "--no-deps"])
            .args(self.selection())
            .args([OsStr::new("--dest"), into.as_os_str(), OsStr::new("--requirement"), requirements.as_os_str()])
            // Python looks for modules in its working folder first: not in the user's.
            .current_dir(into)
            // Nothing is installed, so a setting that forbids installing outside an environment is moot.
            .env("PIP_REQUIRE_VIRTUALENV", "false")
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| FetchError::NoPython { package: self.to_string(), cause })?;
        if ended.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        if said.contains("No module named pip") || said.contains("No module named 'pip'") {
            return Err(FetchError::NoPip { package: self.to_string() });
        }
        let short = shortened(&said);
        Err(if is_offline(&said) {
            FetchError::PipOffline { package: self.to_string(), said: short }
        } else {
            FetchError::Pip { package: self.to_string(), said: short }
        })
    }
}

/// pip's complaints: its ERROR lines, else its last lines, on one line of readable length.
fn shortened(stderr: &str) -> String {
    const MOST_CHARS: usize = 500;
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("ERROR")).collect();
    let kept = if errors.is_empty() { lines[lines.len().saturating_sub(3)..].to_vec() } else { errors };
    let text = kept.join("; ");
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn is_offline(stderr: &str) -> bool {
    ["NewConnectionError", "NameResolutionError", "Network is unreachable", "ConnectTimeout", "Failed to establish"]
        .iter()
        .any(|sign| stderr.contains(sign))
}

fn only_file(folder: &Path) -> Result<PathBuf, FetchError> {
    let io_error = |cause| FetchError::Unreadable { path: folder.to_owned(), cause };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        files.push(entry.map_err(io_error)?.path());
    }
    match files.pop() {
        Some(file) if files.is_empty() => Ok(file),
        _ => Err(io_error(io::Error::other("pip left no single file there"))),
    }
}

/// Downloads `url` into the new file `to`. The caller checks the hash.
///
/// # Errors
/// [`FetchError::Url`] when the address does not answer with the whole file, [`FetchError::Unreadable`]
/// when it cannot be written.
pub fn by_url(url: &str, to: &Path, progress: &mut dyn Progress) -> Result<(), FetchError> {
    let failed = |reason: String| FetchError::Url { url: url.to_owned(), reason };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .user_agent(concat!("rostro/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_mins(1)))
        .timeout_per_read(Some(Duration::from_mins(1)))
        .build()
        .into();
    let response = agent.get(url).call().map_err(|error| failed(error.to_string()))?;
    let body = response.into_body();
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    progress.begin(&format!("fetching {name}"), body.content_length());
    let mut source = body.into_reader().take(MAX_DOWNLOAD_BYTES);
    let copied = copy_to_file(&mut source, to, progress);
    progress.end();
    match copied {
        Ok(()) => Ok(()),
        Err(CopyError::Read(error)) => Err(failed(error.to_string())),
        Err(CopyError::Write(cause)) => Err(FetchError::Unwritable { path: to.to_owned(), cause }),
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

fn copy_to_file(source: &mut dyn Read, to: &Path, progress: &mut dyn Progress) -> Result<(), CopyError> {
    let mut file = File::create(to).map_err(CopyError::Write)?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n = source.read(&mut buffer).map_err(CopyError::Read)?;
        if n == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..n]).map_err(CopyError::Write)?;
        progress.advance(n as u64);
    }
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// SHA-256 of bytes, lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    use fmt::Write;
    digest.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads the named members of a zip file (wheels are) or a gzipped tar file, in the order asked
/// for. A member is named by its path, or by the end of it (`models/a.dat` for `x-1.0/models/a.dat`).
///
/// Nothing is written: names inside an archive never become paths on this machine.
///
/// # Errors
/// [`FetchError::Archive`] when it is damaged, [`FetchError::NoMember`] when a member is missing or
/// is not a plain file.
pub fn read_members(path: &Path, members: &[&str]) -> Result<Vec<Vec<u8>>, FetchError> {
    let io_error = |cause| FetchError::Unreadable { path: path.to_owned(), cause };
    let mut magic = Vec::new();
    File::open(path).and_then(|file| file.take(2).read_to_end(&mut magic)).map_err(io_error)?;
    let file = BufReader::new(File::open(path).map_err(io_error)?);
    let found = match magic.as_slice() {
        b"PK" => zip_members(file, members),
        [0x1f, 0x8b] => tar_members(flate2::read::GzDecoder::new(file), members),
        _ => Err("neither a zip file nor a gzipped tar file".to_owned()),
    };
    let found = found.map_err(|reason| FetchError::Archive { path: path.to_owned(), reason })?;
    let missing = |member: &str| FetchError::NoMember { path: path.to_owned(), member: member.to_owned() };
    found.into_iter().zip(members).map(|(bytes, member)| bytes.ok_or_else(|| missing(member))).collect()
}

/// Whether the archive's `entry` is what `member` names. Entries that lead out of the archive are
/// nothing anybody asks for.
fn names(entry: &str, member: &str) -> bool {
    let inside = Path::new(entry).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside && entry.strip_suffix(member).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

type Members = Vec<Option<Vec<u8>>>;

fn zip_members<R: Read + io::Seek>(file: R, members: &[&str]) -> Result<Members, String> {
    let mut archive = zip::ZipArchive::new(file).map_err(|error| error.to_string())?;
    let mut found = vec![None; members.len()];
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?.into_owned();
        if let Some(slot) = wanted(&name, members, &found).filter(|_| entry.is_file()) {
            found[slot] = Some(read_all(&mut entry, &name)?);
        }
    }
    Ok(found)
}

fn tar_members<R: Read>(file: R, members: &[&str]) -> Result<Members, String> {
    let mut archive = tar::Archive::new(file);
    let mut found = vec![None; members.len()];
    for entry in archive.entries().map_err(|error| error.to_string())? {
        let mut entry = entry.map_err(|error| error.to_string())?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if let Some(slot) = wanted(&name, members, &found).filter(|_| entry.header().entry_type().is_file()) {
            found[slot] = Some(read_all(&mut entry, &name)?);
        }
        // What follows need not be decompressed.
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    Ok(found)
}

/// Which of the members not yet found this entry is.
fn wanted(entry: &str, members: &[&str], found: &Members) -> Option<usize> {
    (0..members.len()).find(|slot| found[*slot].is_none() && names(entry, members[*slot]))
}

fn read_all(entry: &mut impl Read, name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = entry.take(MAX_MEMBER_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("{name}: {error}"))?;
    if read as u64 > MAX_MEMBER_BYTES {
        return Err(format!("{name} is larger than {MAX_MEMBER_BYTES} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A gzipped tar file with these files.
    pub(crate) fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_ustar();
            // Not through `set_path`, which refuses the names this is tested with.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    /// A zip file with these files.
    pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, bytes) in files {
            archive.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    const FILES: &[(&str, &[u8])] =
        &[("p-1.0/data/a.dat", b"first"), ("p-1.0/b.dat", b"second"), ("p-1.0/xb.dat", b"-")];

    #[test]
    fn members_come_in_the_order_asked_for_by_path_or_its_end() {
        for archive in [tar_gz(FILES), zipped(FILES)] {
            let file = written(&archive);
            let members = read_members(file.path(), &["b.dat", "p-1.0/data/a.dat"]).unwrap();
            assert_eq!(members, [b"second".to_vec(), b"first".to_vec()]);
            let error = read_members(file.path(), &["b.dat", "c.dat"]).unwrap_err().to_string();
            assert!(error.contains("no file c.dat"), "{error}");
        }
    }

    #[test]
    fn entries_that_lead_out_of_the_archive_are_not_read() {
        for name in ["../b.dat", "p/../../b.dat", "/etc/b.dat"] {
            for archive in [tar_gz(&[(name, b"evil")]), zipped(&[(name, b"evil")])] {
                let file = written(&archive);
                let error = read_members(file.path(), &["b.dat"]).unwrap_err();
                assert!(matches!(error, FetchError::NoMember { .. }), "{name}: {error}");
            }
        }
    }

    #[test]
    fn a_link_is_not_a_file() {
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "b.dat", "/etc/hostname").unwrap();
        let file = written(&archive.into_inner().unwrap().finish().unwrap());
        assert!(matches!(read_members(file.path(), &["b.dat"]), Err(FetchError::NoMember { .. })));
    }

    #[test]
    fn other_and_cut_archives_are_refused_by_name() {
        for bytes in [b"no archive".to_vec(), tar_gz(FILES)[..40].to_vec(), zipped(FILES)[..40].to_vec(), Vec::new()] {
            let file = written(&bytes);
            let error = read_members(file.path(), &["b.dat"]).unwrap_err().to_string();
            assert!(error.contains(&*file.path().to_string_lossy()), "{error}");
        }
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(b""), empty);
        assert_eq!(sha256_of(written(b"").path()).unwrap(), empty);
    }

    #[test]
    fn what_pip_says_is_quoted_in_short() {
        let said = "WARNING: much\nERROR: Could not find a version\n\nERROR: No matching distribution\n";
        assert_eq!(shortened(said), "ERROR: Could not find a version; ERROR: No matching distribution");
        assert_eq!(shortened("a\nb\nc\nd\n"), "b; c; d");
        assert_eq!(shortened(&"ä".repeat(2000)).chars().count(), 501);
        assert_eq!(shortened(""), "");
    }

    #[test]
    fn an_address_that_does_not_answer_is_named() {
        let folder = tempfile::tempdir().unwrap();
        // A port nobody listens on: bound once, then freed.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/m.onnx");
        let error = by_url(&url, &folder.path().join("m.onnx"), &mut super::super::NoProgress).unwrap_err();
        assert!(matches!(&error, FetchError::Url { .. }) && error.to_string().contains(&url), "{error}");
    }

    proptest! {
        #[test]
        fn reading_an_archive_never_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), kind in 0..4,
        ) {
            let damaged = |mut archive: Vec<u8>| {
                let start = at.index(archive.len());
                archive.iter_mut().skip(start).zip(&bytes[..bytes.len().min(6)]).for_each(|(a, b)| *a = *b);
                archive
            };
            let archive = match kind {
                0 => [b"PK\x03\x04", bytes.as_slice()].concat(),
                1 => [b"\x1f\x8b\x08", bytes.as_slice()].concat(),
                2 => damaged(tar_gz(FILES)),
                _ => damaged(zipped(FILES)),
            };
            let _ = read_members(written(&archive).path(), &["b.dat"]);
        }

        #[test]
        fn a_tar_of_anything_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            let _ = tar_members(bytes.as_slice(), &["b.dat"]);
        }
    }
}
