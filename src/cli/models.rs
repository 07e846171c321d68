//! `rostro models`.

use super::progress::StderrProgress;
use super::{Outcome, Output};
use crate::model::manifest::{self, Manifest, Pack, Role};
use crate::model::runtime;
use crate::model::store::{Bundle, FileState, InstallOptions, ModelError, ModelStore};
use anyhow::Context;
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

/// List, install and verify models.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    #[command(subcommand)]
    command: ModelsCommand,

    /// Folder of installed models; the user's cache folder when not given.
    #[arg(long, global = true, value_name = "DIR", default_value = "")]
    cache_dir: String,
}

#[derive(Debug, clap::Subcommand)]
enum ModelsCommand {
    /// Show every model: its pack, role, licence, and whether it is installed.
    List,
    /// Fetch, check and convert models.
    Install(InstallArgs),
    /// Compare installed files with their hashes; nothing is fetched.
    Verify {
        /// What to check; everything installed when not given.
        #[arg(value_name = "PACK|NAME")]
        names: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct InstallArgs {
    /// Packs (open, zoo, research), models, manifests (.toml), onnxruntime or demo-pictures.
    #[arg(value_name = "PACK|NAME", default_value = "open")]
    names: Vec<String>,

    /// A file fetched by hand: the model itself or the archive it comes in; its hash is checked.
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,

    /// Agree to terms that exclude commercial use (they are shown).
    #[arg(long)]
    accept_license: bool,
}

pub(super) fn run(args: &ModelsArgs, output: Output) -> anyhow::Result<Outcome> {
    let store = ModelStore::open(&args.cache_dir)?;
    match &args.command {
        ModelsCommand::List => list(&store, output),
        ModelsCommand::Install(args) => install(&store, args, output),
        ModelsCommand::Verify { names } => verify(&store, names, output),
    }
}

/// One model in the list.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    pack: Pack,
    role: Role,
    license: String,
    commercial_use: bool,
    state: State,
    /// On this disk, when installed.
    bytes: Option<u64>,
    download_mb: f64,
    source: String,
}

/// State of all files of a model together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Installed,
    Missing,
    Altered,
}

#[derive(Debug, Serialize)]
struct Listing {
    folder: PathBuf,
    models: Vec<Row>,
    onnxruntime: Option<String>,
}

fn list(store: &ModelStore, output: Output) -> anyhow::Result<Outcome> {
    let models = manifest::built_in()?.iter().map(|manifest| row(store, manifest)).collect::<Result<_, _>>()?;
    let listing = Listing { folder: store.folder().to_owned(), models, onnxruntime: runtime_text(store)? };
    output.result(&listing, &listing.to_string())?;
    Ok(Outcome::Done)
}

fn row(store: &ModelStore, manifest: &Manifest) -> Result<Row, ModelError> {
    let files = store.verify(&Bundle::load(&manifest.name)?)?;
    let state = state_of_all(&files);
    let size = || files.iter().filter_map(|(path, _)| Some(path.metadata().ok()?.len())).sum();
    Ok(Row {
        name: manifest.name.clone(),
        pack: manifest.pack,
        role: manifest.role,
        license: manifest.license.clone(),
        commercial_use: manifest.commercial_use,
        state,
        bytes: (state == State::Installed).then(size),
        download_mb: manifest.download_mb,
        source: manifest.source.clone(),
    })
}

fn state_of_all(files: &[(PathBuf, FileState)]) -> State {
    if files.iter().any(|(_, state)| matches!(state, FileState::Altered { .. })) {
        State::Altered
    } else if files.iter().all(|(_, state)| *state == FileState::Right) {
        State::Installed
    } else {
        State::Missing
    }
}

/// Which ONNX Runtime would be used, without fetching one.
fn runtime_text(store: &ModelStore) -> anyhow::Result<Option<String>> {
    if let Some(library) = runtime::find_on_machine()? {
        return Ok(Some(library.to_string()));
    }
    let Some(bundle) = runtime::bundle() else { return Ok(None) };
    let files = store.verify(&bundle)?;
    let installed = files.first().filter(|(_, state)| *state == FileState::Right);
    Ok(installed.map(|(path, _)| format!("{} ({})", path.display(), runtime::FoundBy::Package)))
}

impl std::fmt::Display for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rows =
            vec![["MODEL", "PACK", "ROLE", "INSTALLED", "SIZE", "COMMERCIAL USE", "LICENCE"].map(String::from)];
        rows.extend(self.models.iter().map(Row::columns));
        let widths: [usize; 7] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for row in &rows {
            let line: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        writeln!(f, "\n~ size of the download; models out of one package share it")?;
        writeln!(f, "models:       {}", self.folder.display())?;
        let runtime = self.onnxruntime.as_deref().unwrap_or("not there yet: fetched when it is first needed");
        writeln!(f, "ONNX Runtime: {runtime}")
    }
}

impl Row {
    fn columns(&self) -> [String; 7] {
        let size = match self.bytes {
            Some(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
            None => format!("~{:.1} MB", self.download_mb),
        };
        let installed = match self.state {
            State::Installed => "yes",
            State::Missing => "no",
            State::Altered => "ALTERED",
        };
        let commercial = if self.commercial_use { "yes" } else { "no" };
        [
            self.name.clone(),
            self.pack.to_string(),
            self.role.to_string(),
            installed.to_owned(),
            size,
            commercial.to_owned(),
            self.license.clone(),
        ]
    }
}

#[derive(Debug, Serialize)]
struct InstalledFiles {
    installed: Vec<InstalledBundle>,
}

#[derive(Debug, Serialize)]
struct InstalledBundle {
    name: String,
    files: Vec<PathBuf>,
}

fn install(store: &ModelStore, args: &InstallArgs, output: Output) -> anyhow::Result<Outcome> {
    let mut bundles = bundles(&args.names)?;
    if needs_runtime(&args.names) {
        bundles.extend(runtime::bundle());
    }
    for bundle in &bundles {
        agree(store, bundle, args.accept_license)?;
    }
    let options = InstallOptions { accept_license: true, from: args.from.clone() };
    store.install_bundles(&bundles, &options, &mut StderrProgress::default())?;
    let installed = bundles.iter().map(|bundle| {
        let files = store.verify(bundle)?.into_iter().map(|(path, _)| path).collect();
        Ok(InstalledBundle { name: bundle.name.clone(), files })
    });
    let installed = InstalledFiles { installed: installed.collect::<Result<_, ModelError>>()? };
    let lines = installed
        .installed
        .iter()
        .flat_map(|bundle| bundle.files.iter().map(|path| format!("{}: {}", bundle.name, path.display())));
    let text = lines.collect::<Vec<_>>().join("\n");
    output.result(&installed, &text)?;
    Ok(Outcome::Done)
}

/// A pack is to run afterwards without a network; a machine with its own library needs no other.
fn needs_runtime(names: &[String]) -> bool {
    names.iter().any(|name| pack_named(name).is_some()) && !matches!(runtime::find_on_machine(), Ok(Some(_)))
}

/// Shows terms that exclude commercial use, and ends unless the user agrees.
fn agree(store: &ModelStore, bundle: &Bundle, accepted: bool) -> anyhow::Result<()> {
    let Some(license) = &bundle.restricted_license else { return Ok(()) };
    if state_of_all(&store.verify(bundle)?) == State::Installed {
        return Ok(());
    }
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "{}: no commercial use; terms: {license}", bundle.name);
    if accepted {
        return Ok(());
    }
    if std::io::stdin().is_terminal() {
        let _ = write!(stderr, "Agree? [y/N] ");
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
        if ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
            return Ok(());
        }
    }
    anyhow::bail!("{} was not installed: its terms were not agreed to; to agree: --accept-license", bundle.name)
}

#[derive(Debug, Serialize)]
struct Verified {
    files: Vec<VerifiedFile>,
}

#[derive(Debug, Serialize)]
struct VerifiedFile {
    model: String,
    path: PathBuf,
    state: &'static str,
}

fn verify(store: &ModelStore, names: &[String], output: Output) -> anyhow::Result<Outcome> {
    let chosen = if names.is_empty() { everything()? } else { bundles(names)? };
    let mut files = Vec::new();
    for bundle in chosen {
        let states = store.verify(&bundle)?;
        // Not asked for by name and nothing of it there: not installed, which is no fault.
        if names.is_empty() && states.iter().all(|(_, state)| *state == FileState::Missing) {
            continue;
        }
        files.extend(states.into_iter().map(|(path, state)| VerifiedFile {
            model: bundle.name.clone(),
            path,
            state: match state {
                FileState::Right => "right",
                FileState::Missing => "missing",
                FileState::Altered { .. } => "altered",
            },
        }));
    }
    let lines: Vec<String> = files.iter().map(|file| format!("{:<8} {}", file.state, file.path.display())).collect();
    let wrong: Vec<&str> = files.iter().filter(|file| file.state != "right").map(|file| file.model.as_str()).collect();
    let failure = (!wrong.is_empty()).then(|| repair_text(&wrong));
    let text = if lines.is_empty() { "nothing is installed".to_owned() } else { lines.join("\n") };
    output.result(&Verified { files }, &text)?;
    failure.map_or(Ok(Outcome::Done), |text| Err(anyhow::anyhow!(text)))
}

fn repair_text(wrong: &[&str]) -> String {
    let mut names = wrong.to_vec();
    names.dedup();
    format!("{} files are missing or altered; to repair: rostro models install {}", wrong.len(), names.join(" "))
}

/// Everything that can be installed.
fn everything() -> anyhow::Result<Vec<Bundle>> {
    let models = manifest::built_in()?.into_iter().map(|manifest| manifest.name);
    let mut bundles = bundles(&models.collect::<Vec<_>>())?;
    bundles.extend(runtime::bundle());
    bundles.extend(bundles_of("demo-pictures")?);
    Ok(bundles)
}

fn bundles(names: &[String]) -> anyhow::Result<Vec<Bundle>> {
    let mut bundles = Vec::new();
    for name in names {
        for bundle in bundles_of(name)? {
            if !bundles.contains(&bundle) {
                bundles.push(bundle);
            }
        }
    }
    Ok(bundles)
}

/// The bundles of a pack, or the one of this name.
fn bundles_of(name: &str) -> anyhow::Result<Vec<Bundle>> {
    let Some(pack) = pack_named(name) else { return Ok(vec![Bundle::load(name)?]) };
    let manifests = manifest::built_in()?.into_iter().filter(|manifest| manifest.pack == pack);
    Ok(manifests.map(|manifest| Bundle::load(&manifest.name)).collect::<Result<_, _>>()?)
}

fn pack_named(name: &str) -> Option<Pack> {
    [Pack::Open, Pack::Zoo, Pack::Research].into_iter().find(|pack| pack.to_string() == name)
}
