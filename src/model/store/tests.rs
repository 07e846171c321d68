use super::super::NoProgress;
use super::super::manifest::Archive;
use super::*;
use crate::model::fetch::tests::{tar_gz, zipped};
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Remembers what it was warned of.
#[derive(Default)]
struct Warnings(Vec<String>);

impl Progress for Warnings {
    fn begin(&mut self, _step: &str, _bytes: Option<u64>) {}
    fn advance(&mut self, _bytes: u64) {}
    fn end(&mut self) {}
    fn warn(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

struct Scene {
    folder: tempfile::TempDir,
    store: ModelStore,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let store = ModelStore::open(folder.path().join("cache").to_str().unwrap()).unwrap();
    Scene { folder, store }
}

impl Scene {
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A bundle of two files in a package, and options that give the package by hand.
    fn packaged(&self) -> (Bundle, InstallOptions) {
        let archive = tar_gz(&[("p-1/a.dat", b"first"), ("p-1/b.dat", b"second")]);
        let from = vec![self.write("p-1.tar.gz", &archive)];
        let package = PipArchive {
            package: "p".into(),
            version: "1".into(),
            archive: Archive::Source,
            sha256: fetch::sha256(&archive),
        };
        let mut bundle = Bundle::new("mine");
        bundle.add_packaged(&package, "p-1/a.dat", &fetch::sha256(b"first"));
        bundle.add_packaged(&package, "p-1/b.dat", &fetch::sha256(b"second"));
        (bundle, InstallOptions { from, ..InstallOptions::default() })
    }
}

fn by_url(url: String, member: Option<&str>, sha256: String) -> Bundle {
    let mut bundle = Bundle::new("mine");
    let from = Origin::Url { url, member: member.map(str::to_owned) };
    bundle.files.push(ModelFile { part: "model".into(), name: "m.onnx".into(), sha256, from });
    bundle
}

/// Serves `body` at every address of the returned base, counting requests.
fn serve(body: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let counter = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            counter.fetch_add(1, Ordering::SeqCst);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&body);
        }
    });
    (base, requests)
}

#[test]
fn an_altered_a_cut_and_a_missing_file_are_told_and_installed_anew() {
    let scene = scene();
    let (bundle, options) = scene.packaged();
    let installed = scene.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap();
    let path = installed.path("a").unwrap().to_owned();
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    assert_eq!(std::fs::read(installed.path("b").unwrap()).unwrap(), b"second");
    let state = || scene.store.verify(&bundle).unwrap().remove(0).1;
    assert_eq!(state(), FileState::Right);

    for altered in [&b"First"[..], b"fir", b""] {
        std::fs::write(&path, altered).unwrap();
        assert_eq!(state(), FileState::Altered { got: fetch::sha256(altered) });
        let mut warnings = Warnings::default();
        scene.store.install_bundle(&bundle, &options, &mut warnings).unwrap();
        assert!(warnings.0.len() == 1 && warnings.0[0].contains("a.dat"), "{:?}", warnings.0);
        assert_eq!(state(), FileState::Right);
    }

    std::fs::remove_file(&path).unwrap();
    assert_eq!(state(), FileState::Missing);
    let mut warnings = Warnings::default();
    scene.store.install_bundle(&bundle, &options, &mut warnings).unwrap();
    assert_eq!((state(), warnings.0.len()), (FileState::Right, 0));
}

#[test]
fn what_is_right_is_neither_written_nor_fetched_again() {
    let scene = scene();
    let (bundle, options) = scene.packaged();
    scene.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap();
    // Without the package and without a folder to work in.
    std::fs::write(scene.store.folder().join("partial"), "in the way").unwrap();
    scene.store.install_bundle(&bundle, &InstallOptions::default(), &mut NoProgress).unwrap();
}

#[test]
fn what_a_killed_process_left_is_cleared() {
    let scene = scene();
    let (bundle, options) = scene.packaged();
    let rubbish = scene.store.folder().join("partial/archive");
    std::fs::create_dir_all(&rubbish).unwrap();
    std::fs::write(rubbish.join("half.whl"), "PK").unwrap();
    scene.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap();
    assert!(!scene.store.folder().join("partial").exists());
}

#[test]
fn only_one_of_many_fetches() {
    let scene = scene();
    let (base, requests) = serve(b"weights".to_vec());
    let bundle = by_url(format!("{base}/m.onnx"), None, fetch::sha256(b"weights"));
    std::thread::scope(|scope| {
        let install = || {
            scene.store.install_bundle(&bundle, &InstallOptions::default(), &mut NoProgress).unwrap();
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(install)).collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert_eq!(scene.store.verify(&bundle).unwrap()[0].1, FileState::Right);
}

#[test]
fn another_file_than_the_pinned_one_is_not_installed() {
    let scene = scene();
    let (base, _) = serve(b"evil".to_vec());
    let bundle = by_url(format!("{base}/m.onnx"), None, fetch::sha256(b"weights"));
    let error = scene.store.install_bundle(&bundle, &InstallOptions::default(), &mut NoProgress).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&fetch::sha256(b"weights")) && text.contains(&fetch::sha256(b"evil")), "{text}");
    assert!(text.contains("rostro models install mine --from"), "{text}");
    assert_eq!(scene.store.verify(&bundle).unwrap()[0].1, FileState::Missing);
}

#[test]
fn a_member_of_a_fetched_or_given_zip_is_found_by_its_hash() {
    let archive = zipped(&[("pack/m.onnx", b"weights")]);
    let hash = fetch::sha256(b"weights");

    let fetched = scene();
    let (base, _) = serve(archive.clone());
    let bundle = by_url(format!("{base}/pack.zip"), Some("m.onnx"), hash.clone());
    fetched.store.install_bundle(&bundle, &InstallOptions::default(), &mut NoProgress).unwrap();

    let given = scene();
    let bundle = by_url("http://127.0.0.1:1/pack.zip".into(), Some("m.onnx"), hash);
    let options = InstallOptions { from: vec![given.write("any.zip", &archive)], ..InstallOptions::default() };
    let installed = given.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap();
    assert_eq!(std::fs::read(installed.path("model").unwrap()).unwrap(), b"weights");
    assert!(installed.path("pnet").unwrap_err().to_string().contains("mine has no part \"pnet\""));
}

#[test]
fn a_given_file_that_does_not_belong_is_refused_before_anything_is_fetched() {
    let scene = scene();
    let (base, requests) = serve(b"weights".to_vec());
    let bundle = by_url(format!("{base}/m.onnx"), None, fetch::sha256(b"weights"));
    let options = InstallOptions { from: vec![scene.write("m.onnx", b"other")], ..InstallOptions::default() };
    let error = scene.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap_err().to_string();
    assert!(error.contains(&fetch::sha256(b"other")) && error.contains(&fetch::sha256(b"weights")), "{error}");
    assert_eq!(requests.load(Ordering::SeqCst), 0);

    let options = InstallOptions { from: vec![scene.write("m.onnx", b"weights")], ..InstallOptions::default() };
    scene.store.install_bundle(&bundle, &options, &mut NoProgress).unwrap();
    assert_eq!(requests.load(Ordering::SeqCst), 0);
}

#[test]
fn terms_that_exclude_commercial_use_must_be_accepted() {
    let scene = scene();
    let error = scene.store.ensure("arcface-r100", &mut NoProgress).unwrap_err();
    assert!(matches!(error, ModelError::LicenseNotAccepted { .. }), "{error}");
    assert!(error.to_string().contains("rostro models install arcface-r100 --accept-license"), "{error}");
    assert!(!scene.store.folder().exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let scene = scene();
    let in_the_way = scene.write("file", b"");
    let store = ModelStore::open(in_the_way.join("cache").to_str().unwrap()).unwrap();
    let (bundle, options) = scene.packaged();
    let error = store.install_bundle(&bundle, &options, &mut NoProgress).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ModelError::Unwritable { .. }), "{text}");
    assert!(text.contains("file/cache") && text.contains("inference.cache_dir"), "{text}");
}

#[test]
fn a_model_of_ones_own_lies_beside_its_manifest() {
    let scene = scene();
    let (_, text) = ("", include_str!("../../../models/yunet-n-640.toml"));
    let (head, rest) = text.split_once("by = \"url\"").unwrap();
    let (_, tail) = rest.split_once("\n\n").unwrap();
    let hash = fetch::sha256(b"weights");
    let text = format!("{head}by = \"beside\"\n\n{tail}")
        .replace("yunet-n-640", "mine")
        .replace("25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31", &hash);
    let manifest = scene.write("mine.toml", text.as_bytes());
    let manifest = manifest.to_str().unwrap();

    let error = scene.store.ensure(manifest, &mut NoProgress).unwrap_err().to_string();
    assert!(error.contains("yunet_n_640_640.onnx is missing"), "{error}");
    let weights = scene.write("yunet_n_640_640.onnx", b"weights");
    let model = scene.store.ensure(manifest, &mut NoProgress).unwrap();
    assert_eq!(model.path("model").unwrap(), weights);
    assert_eq!(model.tag().as_str(), format!("mine@{}", &hash[..8]));
    scene.write("yunet_n_640_640.onnx", b"other");
    let error = scene.store.ensure(manifest, &mut NoProgress).unwrap_err();
    assert!(matches!(error, ModelError::WrongHash { .. }), "{error}");
}
